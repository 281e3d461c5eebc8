// SPDX-License-Identifier: MIT-0
// Test bench: the top function against the golden model, word for word.
//
//     tb [DATA_FOLDER [OUTPUT_FILE]]
//
// DATA_FOLDER holds input.dat and golden.dat: one image per line, decimal integers, HWC. It also holds
// layer_<node>.dat, golden outputs of the nodes for the first images. They show the first layer that differs. The
// outputs are written to OUTPUT_FILE in the form of golden.dat. Exit status: 0 if all is equal, 1 if not, 2 if a file
// is missing or malformed. The line that begins with CSIM is for programs.
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <string>
#include <vector>

#include "../kernel/top.hpp"

namespace {

const int USELESS = 2;      // exit status where a file is missing or malformed
const int BATCH_LIMIT = 16;  // images in one call; bounds the memory of the streams

typedef std::vector<int> image_t;

struct report_t {
  long mismatches;  // words of the output stream that are not as they should be
  bool shown;       // whether the first of them has been
  size_t first;     // image of the present call
};

std::string data_folder;
report_t report = {0, false, 0};

bool exists(const std::string& path) {
  FILE* file = fopen(path.c_str(), "rb");
  if (file != nullptr) fclose(file);
  return file != nullptr;
}

// Where the data are if no argument says so: simulators run the bench in their own folders.
std::string find_data() {
  const char* const candidates[] = {"tb/data", "data", ".", "../tb/data", "hls/tb/data"};
  for (const char* candidate : candidates) {
    if (exists(std::string(candidate) + "/golden.dat")) return candidate;
  }
  return "tb/data";
}

__attribute__((noreturn)) void refuse(const std::string& path, const std::string& what) {
  fprintf(stderr, "error: %s: %s\n", path.c_str(), what.c_str());
  exit(USELESS);
}

std::string read_file(const std::string& path) {
  FILE* file = fopen(path.c_str(), "rb");
  if (file == nullptr) refuse(path, "cannot be opened");
  std::string text;
  char chunk[65536];
  size_t count;
  while ((count = fread(chunk, 1, sizeof chunk, file)) > 0) text.append(chunk, count);
  fclose(file);
  return text;
}

// The images of a file; each line must hold `elements` integers from least to most.
std::vector<image_t> load_images(const std::string& path, int elements, long least, long most) {
  const std::string text = read_file(path);
  if (text.empty() || text[text.size() - 1] != '\n') {
    refuse(path, "does not end with a complete line; is it truncated?");
  }
  std::vector<image_t> images(1);
  for (const char* at = text.c_str(); *at != '\0';) {
    if (*at == '\n') {
      const std::string line = "line " + std::to_string(images.size());
      const size_t found = images.back().size();
      if (found != size_t(elements)) {
        refuse(path, line + ": expected " + std::to_string(elements) + " integers, found " + std::to_string(found));
      }
      images.push_back(image_t());
      ++at;
    } else if (*at == ' ') {
      ++at;
    } else {
      char* end;
      const long value = strtol(at, &end, 10);
      if (end == at) refuse(path, "line " + std::to_string(images.size()) + ": found something that is no integer");
      if (value < least || value > most) {
        refuse(path, "line " + std::to_string(images.size()) + ": " + std::to_string(value) + " is out of range");
      }
      images.back().push_back(int(value));
      at = end;
    }
  }
  images.pop_back();
  return images;
}

template <class Cfg>
std::vector<image_t> load_port(const std::string& name) {
  const long most = (1L << (Cfg::SIGNED ? Cfg::BITS - 1 : Cfg::BITS)) - 1;
  return load_images(data_folder + "/" + name, Cfg::ELEMENTS, Cfg::SIGNED ? -most - 1 : 0, most);
}

// Print the first difference of all; maps of `ox` columns and k channels, index in HWC order.
void show(const char* layer, int ox, int k, size_t image, size_t index, int expected, int got) {
  if (report.shown) return;
  report.shown = true;
  const int pixel = int(index) / k;
  printf("MISMATCH {\"layer\": \"%s\", \"image\": %d, \"index\": [%d, %d, %d], \"expected\": %d, \"got\": %d}\n", layer,
         int(image), pixel / ox, pixel % ox, int(index) % k, expected, got);
}

void push_image(const image_t& image, hls::stream<axis_in_t>& in) {
  for (int word = 0; word < AxisIn::WORDS; ++word) {
    int lane[AxisIn::LANES];
    int keep[AxisIn::LANES * AxisIn::CONTAINER / 8];
    for (int i = 0; i < AxisIn::LANES; ++i) {
      const int index = word * AxisIn::LANES + i;
      lane[i] = index < AxisIn::ELEMENTS ? image[size_t(index)] : 0;
    }
    for (int& bit : keep) bit = 1;
    axis_in_t beat;
    beat.data = pack<AxisIn::CONTAINER>(lane);
    beat.keep = pack<1>(keep);
    beat.last = word == AxisIn::WORDS - 1;
    in.write(beat);
  }
}

// Take one image from every output, one output after another as in golden.dat. Count the words that differ from the
// golden ones in data, keep or last.
struct puller_t {
  const image_t& golden;
  int at;
  image_t image;
  size_t first;  // element of the present output

  template <class Cfg, class Word>
  void output(hls::stream<Word>& out) {
    for (int word = 0; word < Cfg::WORDS; ++word) {
      if (out.empty()) {
        fprintf(stderr, "error: image %d: expected %d words, got %d\n", at, Cfg::WORDS, word);
        ++report.mismatches;
        break;
      }
      take<Cfg>(out.read(), word);
    }
    first += size_t(Cfg::ELEMENTS);
    image.resize(first);
  }

  template <class Cfg, class Word>
  void take(const Word& beat, int word) {
    typename number<Cfg::CONTAINER, Cfg::SIGNED>::type lane[Cfg::LANES];
    int keep[Cfg::LANES * Cfg::CONTAINER / 8];
    unpack<Cfg::CONTAINER, Cfg::SIGNED>(beat.data, lane);
    unpack<1, false>(beat.keep, keep);
    bool equal = bool(beat.last) == (word == Cfg::WORDS - 1);
    if (!equal && !report.shown) fprintf(stderr, "error: image %d: last is wrong on word %d\n", at, word);
    for (int i = 0; i < Cfg::LANES; ++i) {
      const int index = word * Cfg::LANES + i;
      const bool valid = index < Cfg::ELEMENTS;
      const int expected = valid ? golden[first + size_t(index)] : 0;
      const int got = static_cast<int>(lane[i]);
      if (valid) image.push_back(got);
      if (got != expected) equal = false;
      for (int byte = 0; byte < Cfg::CONTAINER / 8; ++byte) {
        if ((keep[i * (Cfg::CONTAINER / 8) + byte] != 0) != valid) equal = false;
      }
    }
    if (!equal) ++report.mismatches;
  }
};

image_t pull_image(outputs_t& out, const image_t& golden, int at) {
  puller_t puller = {golden, at, image_t(), 0};
  out.visit(puller);
  return puller.image;
}

// Sees whether all outputs are empty.
struct emptiness_t {
  bool empty;

  template <class Cfg, class Word>
  void output(hls::stream<Word>& out) {
    empty = empty && out.empty();
  }
};

// Elements of all outputs, the least and the largest value of any, and the shape of an only one.
struct extent_t {
  int outputs, elements;
  long least, most;
  std::string shape;

  template <class Cfg, class Word>
  void output(hls::stream<Word>&) {
    const long largest = (1L << (Cfg::SIGNED ? Cfg::BITS - 1 : Cfg::BITS)) - 1;
    const long smallest = Cfg::SIGNED ? -largest - 1 : 0;
    least = smallest < least ? smallest : least;
    most = largest > most ? largest : most;
    elements += Cfg::ELEMENTS;
    shape = std::to_string(Cfg::Y) + ", " + std::to_string(Cfg::X) + ", " + std::to_string(Cfg::C);
    if (++outputs > 1) shape = std::to_string(elements);
  }
};

extent_t extent() {
  extent_t found = {0, 0, 0, 0, ""};
  outputs_t outputs;
  outputs.visit(found);
  return found;
}

// Compare what a node gave in the second run with its golden output, where there is a file of it.
void compare_layer(const char* name, int oy, int ox, int k, const std::vector<int>& values) {
  const std::string path = data_folder + "/layer_" + name + ".dat";
  if (report.shown || !exists(path)) return;
  const size_t elements = size_t(oy * ox * k);
  const std::vector<image_t> golden = load_images(path, oy * ox * k, INT_MIN, INT_MAX);
  const size_t first = report.first;
  for (size_t i = 0; i < values.size() && first + i / elements < golden.size(); ++i) {
    const int expected = golden[first + i / elements][i % elements];
    if (values[i] != expected) show(name, ox, k, first + i / elements, i % elements, expected, values[i]);
  }
}

// Give `count` images from `first` on to one call of the top function, and take what comes out.
std::vector<image_t> run(const std::vector<image_t>& input, const std::vector<image_t>& golden, size_t first,
                         size_t count, double& seconds) {
  hls::stream<axis_in_t> in;
  outputs_t out;
  report.first = first;
  for (size_t i = first; i < first + count; ++i) push_image(input[i], in);
  uint32_t hash_lo = 0, hash_hi = 0;
  const clock_t start = clock();
  accel(in, ACCEL_OUTPUTS(out), uint32_t(count), hash_lo, hash_hi);
  seconds += double(clock() - start) / CLOCKS_PER_SEC;
  if (hash_lo != DESIGN_HASH_LO || hash_hi != DESIGN_HASH_HI) {
    fprintf(stderr, "error: the design hash reads %08x%08x\n", unsigned(hash_hi), unsigned(hash_lo));
    ++report.mismatches;
  }
  std::vector<image_t> images;
  for (size_t i = first; i < first + count; ++i) images.push_back(pull_image(out, golden[i], int(i)));
  emptiness_t left = {true};
  out.visit(left);
  if (!in.empty() || !left.empty) {
    fprintf(stderr, "error: words are left in the %s stream after image %d\n", in.empty() ? "output" : "input",
            int(first + count) - 1);
    ++report.mismatches;
  }
  return images;
}

void write_images(const char* path, const std::vector<image_t>& images) {
  FILE* file = fopen(path, "wb");
  if (file == nullptr) refuse(path, "cannot be written");
  for (const image_t& image : images) {
    for (size_t i = 0; i < image.size(); ++i) fprintf(file, i == 0 ? "%d" : " %d", image[i]);
    fputc('\n', file);
  }
  if (fclose(file) != 0) refuse(path, "cannot be written");
}

// Print the first difference in the results.
struct differences_t {
  const std::vector<image_t>& golden;
  const std::vector<image_t>& got;
  size_t first;  // element of the present output

  template <class Cfg, class Word>
  void output(hls::stream<Word>&) {
    for (size_t i = 0; i < got.size(); ++i) {
      for (size_t at = 0; at < size_t(Cfg::ELEMENTS); ++at) {
        const int expected = golden[i][first + at], found = got[i][first + at];
        if (found != expected) show("output", Cfg::X, Cfg::C, i, at, expected, found);
      }
    }
    first += size_t(Cfg::ELEMENTS);
  }
};

// Print the first difference: in a node if its golden output is known, else in the result.
void locate(const std::vector<image_t>& input, const std::vector<image_t>& golden, const std::vector<image_t>& got) {
  double seconds = 0;
  const long mismatches = report.mismatches;
  layer_tap = compare_layer;
  for (size_t first = 0; first < input.size() && !report.shown; ++first) run(input, golden, first, 1, seconds);
  layer_tap = nullptr;
  report.mismatches = mismatches;
  differences_t differences = {golden, got, 0};
  outputs_t outputs;
  outputs.visit(differences);
}

}  // namespace

int main(int argc, char** argv) {
  data_folder = argc > 1 ? argv[1] : find_data();
  const std::vector<image_t> input = load_port<AxisIn>("input.dat");
  const extent_t results = extent();
  const std::vector<image_t> golden =
      load_images(data_folder + "/golden.dat", results.elements, results.least, results.most);
  if (input.size() != golden.size()) {
    const std::string expected = "expected " + std::to_string(input.size()) + " images as in input.dat, found ";
    refuse(data_folder + "/golden.dat", expected + std::to_string(golden.size()));
  }
  double seconds = 0;
  std::vector<image_t> got;
  // Single images first: a simulator measures the interval only over several calls.
  for (size_t first = 0; first < input.size();) {
    const size_t left = input.size() - first, limit = first < 2 ? 1 : BATCH_LIMIT;
    const size_t count = left < limit ? left : limit;
    const std::vector<image_t> images = run(input, golden, first, count, seconds);
    got.insert(got.end(), images.begin(), images.end());
    first += count;
  }
  if (report.mismatches != 0) locate(input, golden, got);
  if (argc > 2) write_images(argv[2], got);
  printf("%s: %d images against %s/golden.dat, %ld words differ\n", report.mismatches == 0 ? "PASS" : "FAIL",
         int(input.size()), data_folder.c_str(), report.mismatches);
  printf("CSIM {\"images\": %d, \"mismatches\": %ld, \"seconds\": %.6f, \"shape\": [%s]}\n", int(input.size()),
         report.mismatches, seconds, results.shape.c_str());
  return report.mismatches == 0 ? 0 : 1;
}
