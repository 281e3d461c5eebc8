// SPDX-License-Identifier: MIT-0
// Test bench of the SystemVerilog machine: drives the top level as a board would and owns the clock.
//
//   tb DATA_FOLDER [--images N] [--stalls SEED] [--pace CYCLES] [--patience CYCLES] [--outputs FILE] [--then FOLDER]
//
// Where weights are loaded, weights.dat of the folder is an image in DRAM, and is loaded first. With --then the images of
// another folder follow, with weights of their own; outputs are then those of the last folder.
// Reads the design hash, starts N images over AXI-Lite, sends them back to back and compares every word that comes out
// with golden.dat, their number and TLAST included. With --stalls both ends and the DRAM hold back at random; with --pace the source
// sends an image in so many cycles, evenly. When nothing moves at either end for --patience cycles (by default more than
// the engines need for an image one after the other) it stops and prints what every buffer holds. The exit status is 0
// only if all words are right.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <fstream>
#include <memory>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "Vaccel.h"
#include "config.hpp"
#include "verilated.h"

namespace {

using Row = std::vector<int>;

[[noreturn]] void fail(const std::string& what) {
  std::fprintf(stderr, "error: %s\n", what.c_str());
  std::exit(2);
}

std::vector<Row> read_rows(const std::string& path, int columns) {
  std::ifstream file(path);
  if (!file) fail("cannot read " + path);
  std::vector<Row> rows;
  std::string line;
  while (std::getline(file, line)) {
    std::istringstream text(line);
    Row row;
    for (int value; text >> value;) row.push_back(value);
    if (!text.eof() || int(row.size()) != columns)
      fail(path + " line " + std::to_string(rows.size() + 1) + ": expected " + std::to_string(columns) +
           " integers, found " + std::to_string(row.size()));
    rows.push_back(row);
  }
  return rows;
}

std::vector<uint32_t> read_image(const std::string& path) {
  std::ifstream file(path);
  if (!file) fail("cannot read " + path);
  std::vector<uint32_t> words;
  for (std::string line; std::getline(file, line);) words.push_back(uint32_t(std::stoul(line, nullptr, 16)));
  return words;
}

struct Options {
  std::string folder;
  int images = -1;
  unsigned stalls = 0;
  long pace = 0;
  long patience = config::patience;
  std::string outputs;
  std::string then;
};

Options parse(int argc, char** argv) {
  Options options;
  if (argc < 2) fail("usage: tb DATA_FOLDER [--images N] [--stalls SEED] [--pace CYCLES] [--patience CYCLES] [--outputs FILE] [--then FOLDER]");
  options.folder = argv[1];
  for (int i = 2; i + 1 < argc; i += 2) {
    const std::string key = argv[i];
    if (key == "--images") options.images = std::atoi(argv[i + 1]);
    else if (key == "--stalls") options.stalls = unsigned(std::atoi(argv[i + 1]));
    else if (key == "--pace") options.pace = std::atol(argv[i + 1]);
    else if (key == "--patience") options.patience = std::atol(argv[i + 1]);
    else if (key == "--outputs") options.outputs = argv[i + 1];
    else if (key == "--then") options.then = argv[i + 1];
    else fail("unknown option " + key);
  }
  return options;
}

// Ports of up to 64 bits are integers in the generated model, wider ones arrays of 32-bit words.
template <typename Port>
void set_bits(Port& port, int low, int bits, uint32_t value) {
  if constexpr (std::is_integral_v<Port>) {
    const uint64_t mask = ((uint64_t(1) << bits) - 1) << low;
    port = Port((uint64_t(port) & ~mask) | ((uint64_t(value) << low) & mask));
  } else {
    const uint32_t mask = ((uint32_t(1) << bits) - 1) << (low % 32);
    port[low / 32] = (port[low / 32] & ~mask) | ((value << (low % 32)) & mask);
  }
}

template <typename Port>
uint32_t get_bits(const Port& port, int low, int bits) {
  const uint32_t mask = (uint32_t(1) << bits) - 1;
  if constexpr (std::is_integral_v<Port>) return uint32_t(uint64_t(port) >> low) & mask;
  else return (port[low / 32] >> (low % 32)) & mask;
}

// One side's readiness: always, or at random in bursts.
class Pace {
 public:
  Pace(unsigned seed, unsigned stream) : random_(seed * 2 + stream), free_(seed == 0) {}
  bool operator()() {
    if (free_) return true;
    if (left_-- <= 0) {
      go_ = random_() % 3 != 0;
      left_ = int(random_() % (random_() % 8 == 0 ? 60 : 4));
    }
    return go_;
  }

 private:
  std::mt19937 random_;
  bool free_, go_ = true;
  int left_ = 0;
};

// DRAM behind an AXI read port: bursts in turn at a steady rate, refreshes between them, a latency, a beat a cycle at most.
// With stalls both channels hold back at random; what is offered stays.
class Dram {
 public:
  static constexpr uint64_t base = 0x7f12345000;  // bytes; the upper bits of an address count too
  Dram(std::vector<uint32_t> words, unsigned stalls)
      : words_(std::move(words)), address_pace_(stalls, 100), data_pace_(stalls, 101) {}

  // One cycle: offer, and take what is offered. The machine's side is registers, so nothing waits for this cycle's values.
  template <typename Address, typename Len, typename Bit, typename Ready, typename Data, typename Resp>
  void step(const Address& araddr, const Len& arlen, const Bit& arvalid, Ready& arready, Data& rdata, Resp& rresp,
            Ready& rlast, Ready& rvalid, const Bit& rready) {
    now_++;
    const bool due = !beats_.empty() && beats_.front().due <= now_ * 1024;
    if (!offering_ && due) offering_ = data_pace_();
    arready = address_pace_();
    rvalid = offering_;
    if (offering_) {
      const Beat& beat = beats_.front();
      rdata = Data(words_[beat.at]) | Data(words_[beat.at + 1]) << 32;
      rlast = beat.last;
      rresp = 0;
      if (rready) beats_.pop_front(), offering_ = false;
    }
    if (arvalid && arready) accept(uint64_t(araddr), int(arlen) + 1);
  }
  // What was asked for and is not to be had; empty if nothing was.
  const std::string& trouble() const { return trouble_; }

 private:
  struct Beat {
    long due;  // 1024ths of a cycle
    size_t at;
    bool last;
  };
  void accept(uint64_t address, int beats) {
    const uint64_t bytes = uint64_t(beats) * 8;
    if (beats != config::burst_beats || address % bytes != 0) trouble_ = "a read that is not a whole burst at its place";
    else if (address < base || address + bytes > base + 4 * words_.size()) trouble_ = "a read outside of the image";
    if (!trouble_.empty()) return;
    if (begun_ < 0) begun_ = now_;
    // Service begins when the server is free and not in a refresh, which come in turn from the first burst on.
    long start = std::max((now_ - begun_) * 1024, free_);
    const long phase = start % (config::refresh_every * 1024L), open = config::refresh_cycles * 1024L;
    if (start >= config::refresh_every * 1024L && phase < open) start += open - phase;
    free_ = start + beats * long(config::beat_1024ths);
    for (int i = 0; i < beats; i++) {
      const long due = (begun_ + config::read_latency) * 1024 + start + i * long(config::beat_1024ths);
      beats_.push_back({due, size_t(address - base) / 4 + size_t(2 * i), i == beats - 1});
    }
  }

  std::vector<uint32_t> words_;
  Pace address_pace_, data_pace_;
  std::deque<Beat> beats_;
  std::string trouble_;
  long now_ = 0, begun_ = -1, free_ = 0;
  bool offering_ = false;
};

class Bench {
 public:
  explicit Bench(VerilatedContext* context) : top_(new Vaccel(context)) {
    top_->ap_rst_n = 0;
    for (int i = 0; i < 4; i++) tick();
    top_->ap_rst_n = 1;
  }
  ~Bench() { top_->final(); }

  Vaccel& top() { return *top_; }
  long cycle() const { return cycle_; }

  // Settle the combinational paths of this cycle, before its clock edge.
  void settle() { top_->eval(); }
  void tick() {
    if (dram_)
      config::visit_dram(*top_, [&](auto&... signals) { dram_->step(signals...); });
    top_->ap_clk = 0;
    top_->eval();
    top_->ap_clk = 1;
    top_->eval();
    cycle_++;
  }

  void write(uint32_t address, uint32_t value) {
    top_->s_axi_control_awaddr = address;
    top_->s_axi_control_wdata = value;
    top_->s_axi_control_wstrb = 0xf;
    top_->s_axi_control_awvalid = top_->s_axi_control_wvalid = top_->s_axi_control_bready = 1;
    wait_for([&] { return top_->s_axi_control_awready && top_->s_axi_control_wready; });
    top_->s_axi_control_awvalid = top_->s_axi_control_wvalid = 0;
    wait_for([&] { return top_->s_axi_control_bvalid; });
  }

  uint32_t read(uint32_t address) {
    top_->s_axi_control_araddr = address;
    top_->s_axi_control_arvalid = top_->s_axi_control_rready = 1;
    wait_for([&] { return top_->s_axi_control_arready; });
    top_->s_axi_control_arvalid = 0;
    uint32_t value = 0;
    wait_for([&] { value = top_->s_axi_control_rdata; return top_->s_axi_control_rvalid; });
    return value;
  }
  uint64_t read_pair(uint32_t low, uint32_t high) { return read(low) | uint64_t(read(high)) << 32; }

  // Let the machine load an image of weights: a start with no images. Return what went wrong, or nothing.
  std::string load(const std::vector<uint32_t>& image, unsigned stalls, long patience) {
    dram_.reset(new Dram(image, stalls));
    write(0x60, uint32_t(Dram::base));
    write(0x64, uint32_t(Dram::base >> 32));
    write(0x10, 0);
    write(0x00, 1);
    const long start = cycle_;
    while (!(read(0x00) & 4)) {
      if (!dram_->trouble().empty()) return dram_->trouble();
      if (cycle_ - start > patience) return "loading did not end within " + std::to_string(patience) + " cycles";
    }
    const uint32_t state = read(0x68);
    std::printf("weights state %u crc %08x\n", state, read(0x6c));
    return state == 1 ? "" : "the machine refused the image: it is damaged, or of another machine";
  }

 private:
  template <typename Condition>
  void wait_for(Condition condition) {
    for (int i = 0; i < 100; i++) {
      top_->ap_clk = 0;
      settle();
      const bool met = condition();
      tick();
      if (met) return;
    }
    fail("AXI-Lite: no answer within 100 cycles");
  }

  std::unique_ptr<Vaccel> top_;
  std::unique_ptr<Dram> dram_;
  long cycle_ = 0;
};

// What has come out of one output: beats, and the elements of its present image.
struct Sink {
  Sink(unsigned stalls, int index) : pace(stalls, unsigned(1 + index)) {
    beats = (config::outputs[index].elements + config::outputs[index].lanes - 1) / config::outputs[index].lanes;
    for (int i = 0; i < index; i++) first_element += size_t(config::outputs[i].elements);
  }
  Pace pace;
  long beats = 0, got = 0;
  size_t first_element = 0;  // in a row of golden.dat, which has the outputs one behind another
  Row image;
};

struct Course {
  long first_in = -1;
  std::vector<long> image_out;  // cycle of the last beat of every image, on whichever output
  std::vector<Row> outputs;
  long mismatches = 0, words = 0, tlast_errors = 0, surplus = 0;
  bool stuck = false;
};

constexpr int all_elements() {
  int sum = 0;
  for (int i = 0; i < config::output_count; i++) sum += config::outputs[i].elements;
  return sum;
}

// Take the beat that an output offers and compare it; note an image that ends.
template <typename Data>
void take(Course& course, Sink& sink, const config::Output& output, const Data& data, bool tlast,
          const std::vector<Row>& golden, long cycle) {
  const size_t image = size_t(sink.got / sink.beats);
  for (int lane = 0; lane < output.lanes && int(sink.image.size()) < output.elements; lane++) {
    const uint32_t bits = get_bits(data, lane * output.container, output.container);
    int value = int(bits);
    if (output.is_signed && (bits >> (output.container - 1))) value -= 1 << output.container;
    const size_t at = sink.first_element + sink.image.size();
    const int expected = golden[image][at];
    if (value != expected && course.mismatches++ == 0)
      std::printf("mismatch image %zu index %zu expected %d got %d\n", image, at, expected, value);
    sink.image.push_back(value);
    course.words++;
  }
  const bool last = sink.got % sink.beats == sink.beats - 1;
  if (tlast != last) course.tlast_errors++;
  if (last) {
    std::copy(sink.image.begin(), sink.image.end(), course.outputs[image].begin() + long(sink.first_element));
    course.image_out[image] = std::max(course.image_out[image], cycle);
    sink.image.clear();
  }
  sink.got++;
}

// The images that all outputs have given.
long complete(const std::vector<Sink>& sinks) {
  long least = sinks[0].got / sinks[0].beats;
  for (const Sink& sink : sinks) least = std::min(least, sink.got / sink.beats);
  return least;
}

Course run(Bench& bench, const Options& options, const std::vector<Row>& inputs, const std::vector<Row>& golden, int images) {
  constexpr int beats_in = (config::in_elements + config::in_lanes - 1) / config::in_lanes;
  Vaccel& top = bench.top();
  Course course;
  course.image_out.resize(size_t(images), -1);
  course.outputs.resize(size_t(images), Row(size_t(all_elements())));
  Pace source(options.stalls, 0);
  std::vector<Sink> sinks;
  for (int i = 0; i < config::output_count; i++) sinks.emplace_back(options.stalls, i);
  const long start = bench.cycle();
  long sent = 0, last_move = start;
  bool offering = false;
  while (complete(sinks) < images) {
    const long due = start + sent / beats_in * options.pace + sent % beats_in * options.pace / beats_in;
    if (!offering && sent < long(images) * beats_in && bench.cycle() >= due && source()) offering = true;
    top.s_axis_tvalid = offering;
    if (offering) {
      const Row& row = inputs[size_t(sent / beats_in)];
      for (int lane = 0; lane < config::in_lanes; lane++) {
        const size_t element = size_t(sent % beats_in) * config::in_lanes + size_t(lane);
        // Lanes past the image's end carry garbage: the machine must not care.
        const uint32_t value = element < row.size() ? uint32_t(row[element]) : 0x5a5au;
        set_bits(top.s_axis_tdata, lane * config::in_container, config::in_container, value);
      }
      top.s_axis_tlast = sent % beats_in == beats_in - 1;
    }
    config::visit_outputs(top, [&](int i, auto&, auto&, auto& ready, auto&) { ready = sinks[size_t(i)].pace(); });
    top.ap_clk = 0;
    bench.settle();
    if (top.s_axis_tvalid && top.s_axis_tready) {
      if (course.first_in < 0) course.first_in = bench.cycle();
      sent++;
      offering = false;
      last_move = bench.cycle();
    }
    config::visit_outputs(top, [&](int i, auto& data, auto& valid, auto& ready, auto& last) {
      Sink& sink = sinks[size_t(i)];
      if (!valid || !ready) return;
      if (sink.got == images * sink.beats) {
        course.surplus++;
        return;
      }
      take(course, sink, config::outputs[i], data, bool(last), golden, bench.cycle());
      last_move = bench.cycle();
    });
    bench.tick();
    if (bench.cycle() - last_move > options.patience) {
      course.stuck = true;
      long got = 0;
      for (const Sink& sink : sinks) got += sink.got;
      std::printf("stuck: nothing moved for %ld cycles; beats in %ld, beats out %ld\n", options.patience, sent, got);
      break;
    }
  }
  top.s_axis_tvalid = 0;
  course.image_out.resize(size_t(complete(sinks)));
  course.outputs.resize(course.image_out.size());
  return course;
}

// Load the folder's weights where the machine loads any, run its images, and print what came of them.
bool run_folder(Bench& bench, const Options& options, const std::string& folder) {
  const std::vector<Row> inputs = read_rows(folder + "/input.dat", config::in_elements);
  const std::vector<Row> golden = read_rows(folder + "/golden.dat", all_elements());
  if (inputs.empty() || inputs.size() != golden.size())
    fail("input.dat has " + std::to_string(inputs.size()) + " images, golden.dat " + std::to_string(golden.size()));
  const int images = options.images < 0 ? int(inputs.size()) : options.images;
  if (images < 1 || images > int(inputs.size())) fail("--images: expected 1 to " + std::to_string(inputs.size()));
  if (config::loads) {
    const std::vector<uint32_t> image = read_image(folder + "/weights.dat");
    const std::string trouble = bench.load(image, options.stalls, options.patience + 100 * long(image.size()));
    if (!trouble.empty()) {
      std::printf("weights: %s\n", trouble.c_str());
      return false;
    }
  }
  for (int i = 0; i < config::settle; i++) bench.tick();
  bench.write(0x10, uint32_t(images));
  bench.write(0x00, 1);
  Course course = run(bench, options, inputs, golden, images);
  // Beats that come after the last one would be too many.
  for (int i = 0; i < 100 && !course.stuck; i++) {
    config::visit_outputs(bench.top(), [](int, auto&, auto&, auto& ready, auto&) { ready = 1; });
    bench.top().ap_clk = 0;
    bench.settle();
    config::visit_outputs(bench.top(), [&](int, auto&, auto& valid, auto&, auto&) { course.surplus += valid; });
    bench.tick();
  }

  for (size_t i = 0; i < course.image_out.size(); i++)
    std::printf("image %zu out %ld\n", i, course.image_out[i] - course.first_in);
  const unsigned long long cycles = bench.read_pair(0x40, 0x54), first_out = bench.read_pair(0x44, 0x58);
  std::printf("counters cycles %llu first_out %llu beats_in %u beats_out %u images %u status %u\n", cycles, first_out,
              bench.read(0x48), bench.read(0x4c), bench.read(0x50), bench.read(0x00));
  const bool complete = int(course.image_out.size()) == images && course.surplus == 0 && course.tlast_errors == 0;
  std::printf("result images %zu words %ld mismatches %ld tlast_errors %ld surplus %ld cycles %ld\n",
              course.image_out.size(), course.words, course.mismatches, course.tlast_errors, course.surplus, bench.cycle());
  if (!options.outputs.empty()) {
    std::ofstream file(options.outputs);
    for (const Row& row : course.outputs) {
      for (size_t i = 0; i < row.size(); i++) file << (i ? " " : "") << row[i];
      file << "\n";
    }
    if (!file.flush()) fail("cannot write " + options.outputs);
  }
  return complete && course.mismatches == 0;
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = parse(argc, argv);
  VerilatedContext context;
  Bench bench(&context);
  const uint64_t hash = bench.read_pair(0x20, 0x30);
  if (hash != config::design_hash) fail("design hash read back is not the one this test bench was made for");
  bool good = run_folder(bench, options, options.folder);
  if (!options.then.empty()) good = run_folder(bench, options, options.then) && good;
  return good ? 0 : 1;
}
