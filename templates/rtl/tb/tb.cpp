// SPDX-License-Identifier: MIT-0
// Test bench of the SystemVerilog machine: drives the top level as a board would and owns the clock.
//
//   tb DATA_FOLDER [--images N] [--stalls SEED] [--pace CYCLES] [--patience CYCLES] [--outputs FILE]
//
// Reads the design hash, starts N images over AXI-Lite, sends them back to back and compares every word that comes out
// with golden.dat, their number and TLAST included. With --stalls both ends hold back at random; with --pace the source
// sends an image in so many cycles, evenly. When nothing moves at either end for --patience cycles (by default more than
// the engines need for an image one after the other) it stops and prints what every buffer holds. The exit status is 0
// only if all words are right.
#include <cstdio>
#include <cstdlib>
#include <cstring>
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

struct Options {
  std::string folder;
  int images = -1;
  unsigned stalls = 0;
  long pace = 0;
  long patience = config::patience;
  std::string outputs;
};

Options parse(int argc, char** argv) {
  Options options;
  if (argc < 2) fail("usage: tb DATA_FOLDER [--images N] [--stalls SEED] [--pace CYCLES] [--patience CYCLES] [--outputs FILE]");
  options.folder = argv[1];
  for (int i = 2; i + 1 < argc; i += 2) {
    const std::string key = argv[i];
    if (key == "--images") options.images = std::atoi(argv[i + 1]);
    else if (key == "--stalls") options.stalls = unsigned(std::atoi(argv[i + 1]));
    else if (key == "--pace") options.pace = std::atol(argv[i + 1]);
    else if (key == "--patience") options.patience = std::atol(argv[i + 1]);
    else if (key == "--outputs") options.outputs = argv[i + 1];
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
  long cycle_ = 0;
};

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

struct Course {
  long first_in = -1;
  std::vector<long> image_out;
  std::vector<Row> outputs;
  long mismatches = 0, words = 0, tlast_errors = 0;
  bool stuck = false;
};

Course run(Bench& bench, const Options& options, const std::vector<Row>& inputs, const std::vector<Row>& golden, int images) {
  constexpr int beats_in = (config::in_elements + config::in_lanes - 1) / config::in_lanes;
  constexpr int beats_out = (config::out_elements + config::out_lanes - 1) / config::out_lanes;
  Vaccel& top = bench.top();
  Course course;
  Pace source(options.stalls, 0), sink(options.stalls, 1);
  const long start = bench.cycle();
  long sent = 0, got = 0, last_move = start;
  bool offering = false;
  Row image;
  while (got < long(images) * beats_out) {
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
    top.m_axis_tready = sink();
    top.ap_clk = 0;
    bench.settle();
    if (top.s_axis_tvalid && top.s_axis_tready) {
      if (course.first_in < 0) course.first_in = bench.cycle();
      sent++;
      offering = false;
      last_move = bench.cycle();
    }
    if (top.m_axis_tvalid && top.m_axis_tready) {
      for (int lane = 0; lane < config::out_lanes; lane++) {
        if (int(image.size()) == config::out_elements) break;
        uint32_t bits = get_bits(top.m_axis_tdata, lane * config::out_container, config::out_container);
        int value = int(bits);
        if (config::out_signed && (bits >> (config::out_container - 1))) value -= 1 << config::out_container;
        const int expected = golden[size_t(got / beats_out)][image.size()];
        if (value != expected && course.mismatches++ == 0)
          std::printf("mismatch image %ld index %zu expected %d got %d\n", got / beats_out, image.size(), expected, value);
        image.push_back(value);
        course.words++;
      }
      const bool last = got % beats_out == beats_out - 1;
      if (bool(top.m_axis_tlast) != last) course.tlast_errors++;
      if (last) {
        course.image_out.push_back(bench.cycle());
        course.outputs.push_back(image);
        image.clear();
      }
      got++;
      last_move = bench.cycle();
    }
    bench.tick();
    if (bench.cycle() - last_move > options.patience) {
      course.stuck = true;
      std::printf("stuck: nothing moved for %ld cycles; beats in %ld, beats out %ld\n", options.patience, sent, got);
      break;
    }
  }
  top.s_axis_tvalid = 0;
  return course;
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = parse(argc, argv);
  const std::vector<Row> inputs = read_rows(options.folder + "/input.dat", config::in_elements);
  const std::vector<Row> golden = read_rows(options.folder + "/golden.dat", config::out_elements);
  if (inputs.empty() || inputs.size() != golden.size())
    fail("input.dat has " + std::to_string(inputs.size()) + " images, golden.dat " + std::to_string(golden.size()));
  const int images = options.images < 0 ? int(inputs.size()) : options.images;
  if (images < 1 || images > int(inputs.size())) fail("--images: expected 1 to " + std::to_string(inputs.size()));

  VerilatedContext context;
  Bench bench(&context);
  const uint64_t hash = bench.read_pair(0x20, 0x30);
  if (hash != config::design_hash) fail("design hash read back is not the one this test bench was made for");
  for (int i = 0; i < config::settle; i++) bench.tick();
  bench.write(0x10, uint32_t(images));
  bench.write(0x00, 1);
  const Course course = run(bench, options, inputs, golden, images);
  // Beats that come after the last one would be too many.
  long surplus = 0;
  for (int i = 0; i < 100 && !course.stuck; i++) {
    bench.top().m_axis_tready = 1;
    bench.top().ap_clk = 0;
    bench.settle();
    surplus += bench.top().m_axis_tvalid;
    bench.tick();
  }

  for (size_t i = 0; i < course.image_out.size(); i++)
    std::printf("image %zu out %ld\n", i, course.image_out[i] - course.first_in);
  const unsigned long long cycles = bench.read_pair(0x40, 0x54), first_out = bench.read_pair(0x44, 0x58);
  std::printf("counters cycles %llu first_out %llu beats_in %u beats_out %u images %u status %u\n", cycles, first_out,
              bench.read(0x48), bench.read(0x4c), bench.read(0x50), bench.read(0x00));
  const bool complete = int(course.image_out.size()) == images && surplus == 0 && course.tlast_errors == 0;
  std::printf("result images %zu words %ld mismatches %ld tlast_errors %ld surplus %ld cycles %ld\n",
              course.image_out.size(), course.words, course.mismatches, course.tlast_errors, surplus, bench.cycle());
  if (!options.outputs.empty()) {
    std::ofstream file(options.outputs);
    for (const Row& row : course.outputs) {
      for (size_t i = 0; i < row.size(); i++) file << (i ? " " : "") << row[i];
      file << "\n";
    }
    if (!file.flush()) fail("cannot write " + options.outputs);
  }
  return complete && course.mismatches == 0 ? 0 : 1;
}
