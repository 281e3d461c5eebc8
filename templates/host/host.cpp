// SPDX-License-Identifier: MIT-0
// XRT host of the accelerator: checks the design, runs the self-test, measures, writes the result file.
//
// The accelerator is driven by its registers through xrt::ip; the movers between memory and its streams, mm2s and an s2mm
// for each output, are kernels that XRT manages. Integers in, integers out, HWC: nothing is normalised here.
// Every wait has a time-out: by default ten times the predicted duration, and at least ten seconds. It ends in a dump
// of all that the hardware reports.
//
//   host [--xclbin FILE] [--device N] [--images N] [--batch N] [--timeout-ms N] [--selftest DIR] [--result FILE]
//
// Exit status: 0 good, 1 results differ from the golden vectors, 2 the device or the arguments are at fault.

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <fstream>
#include <iostream>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

// Releases up to July 2025 have this header here; later ones below xrt/ only, where a release of the system's may lie too.
#if __has_include(<experimental/xrt_ip.h>)
#include <experimental/xrt_ip.h>
#else
#include <xrt/experimental/xrt_ip.h>
#endif
#include <xrt/xrt_bo.h>
#include <xrt/xrt_device.h>
#include <xrt/xrt_kernel.h>

#include "accel_params.hpp"

namespace {

using Clock = std::chrono::steady_clock;

struct Options {
  std::string xclbin = "accel.xclbin";
  std::string selftest = "selftest";
  std::string result = "board.json";
  unsigned device = 0;
  std::size_t images = 2048;
  std::size_t batch = accel::batch;
  unsigned timeout_ms = 0;  // 0: as predicted
};

struct Batch {  // what one start of the accelerator gave
  Clock::time_point done;
  bool counted = false;
  std::uint64_t first_out_cycles = 0;
  std::uint64_t cycles = 0;
};

std::size_t parse_count(const std::string& name, const std::string& text) {
  std::size_t used = 0;
  unsigned long value = 0;
  try {
    value = std::stoul(text, &used);
  } catch (const std::logic_error&) {
    used = 0;
  }
  if (used == 0 || used != text.size() || value > 0xffffffffUL)
    throw std::runtime_error(name + ": expected a number, got '" + text + "'");
  return value;
}

unsigned parse_positive(const std::string& name, const std::string& text) {
  const std::size_t value = parse_count(name, text);
  if (value == 0) throw std::runtime_error(name + ": expected at least 1");
  return static_cast<unsigned>(value);
}

Options parse_options(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; i += 2) {
    const std::string name = argv[i];
    if (i + 1 == argc) throw std::runtime_error(name + ": expected a value after it");
    const std::string value = argv[i + 1];
    if (name == "--xclbin") options.xclbin = value;
    else if (name == "--selftest") options.selftest = value;
    else if (name == "--result") options.result = value;
    else if (name == "--device") options.device = static_cast<unsigned>(parse_count(name, value));
    else if (name == "--images") options.images = parse_count(name, value);
    else if (name == "--batch") options.batch = parse_count(name, value);
    else if (name == "--timeout-ms") options.timeout_ms = parse_positive(name, value);
    else throw std::runtime_error("unknown option " + name);
  }
  if (options.batch < 2 || options.batch > accel::max_images || options.images == 0)
    throw std::runtime_error("expected --batch of 2 to " + std::to_string(accel::max_images) +
                             " and --images of at least 1");
  return options;
}

std::vector<std::uint8_t> load(const std::string& path, std::size_t image_bytes) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error(path + ": cannot be read");
  std::vector<std::uint8_t> data{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (data.empty() || data.size() % image_bytes != 0)
    throw std::runtime_error(path + ": expected a multiple of " + std::to_string(image_bytes) + " bytes, got " +
                             std::to_string(data.size()));
  return data;
}

// The value of one element: the low bits of its container, sign made here.
std::int32_t element(const std::uint8_t* at, unsigned container_bytes, unsigned bits, bool is_signed) {
  std::uint32_t word = at[0];
  if (container_bytes == 2) word |= static_cast<std::uint32_t>(at[1]) << 8;
  word &= (1u << bits) - 1u;
  const bool negative = is_signed && ((word >> (bits - 1u)) & 1u) != 0;
  return static_cast<std::int32_t>(word) - (negative ? std::int32_t{1} << bits : 0);
}

class Accelerator {
 public:
  explicit Accelerator(const Options& options)
      : options_(options),
        device_(options.device),
        uuid_(device_.load_xclbin(options.xclbin)),
        accel_(device_, uuid_, "accel:{accel_1}"),
        mm2s_(device_, uuid_, "mm2s:{mm2s_1}"),
        input_(device_, options.batch * accel::in_wire_bytes, mm2s_.group_id(0)) {
    for (const accel::Output& output : accel::outputs) {
      const xrt::kernel kernel(device_, uuid_, output.mover);
      const xrt::bo data(device_, options.batch * output.wire_bytes, kernel.group_id(1));
      const xrt::bo status(device_, sizeof(std::uint32_t), kernel.group_id(2));
      receivers_.push_back(Receiver{output, kernel, data, status});
    }
    // Outputs of an HLS kernel, the hash among them, read 0 until it has run once; an empty run will do.
    if (read_pair(accel::reg_hash_lo, accel::reg_hash_hi) == 0) {
      accel_.write_register(accel::reg_images, 0);
      accel_.write_register(accel::reg_ctrl, accel::ctrl_start);
      wait_accelerator(timeout_of(0), "an empty run");
    }
    const std::uint64_t found = read_pair(accel::reg_hash_lo, accel::reg_hash_hi);
    if (found != accel::design_hash) {
      std::ostringstream text;
      text << std::hex << "the xclbin holds design 0x" << found << ", this program belongs to 0x" << accel::design_hash;
      throw std::runtime_error(text.str());
    }
    has_counters_ = accel_.read_register(accel::reg_spelling) == accel::spelling_rtl;
  }

  // Put images first, first + 1, ... of the vector (repeated as needed) into the input buffer.
  void fill(const std::vector<std::uint8_t>& vector, std::size_t first, std::size_t count) {
    auto* slots = input_.map<std::uint8_t*>();
    std::memset(slots, 0, count * accel::in_wire_bytes);
    const std::size_t available = vector.size() / accel::in_image_bytes;
    for (std::size_t i = 0; i < count; ++i)
      std::memcpy(slots + i * accel::in_wire_bytes, vector.data() + (first + i) % available * accel::in_image_bytes,
                  accel::in_image_bytes);
    input_.sync(XCL_BO_SYNC_BO_TO_DEVICE);
  }

  // Run the `count` images of the input buffer; on return the buffers of all receivers hold their results.
  Batch run(std::size_t count) {
    const auto limit = timeout_of(count);
    if ((accel_.read_register(accel::reg_ctrl) & accel::ctrl_idle) == 0) fail("an earlier run", {});
    const auto images = static_cast<std::uint32_t>(count);
    accel_.write_register(accel::reg_images, images);
    // Receive first: a result that finds nobody waiting would stall the pipeline.
    std::vector<xrt::run> receiving;
    for (Receiver& receiver : receivers_) receiving.push_back(start_receive(receiver, images));
    accel_.write_register(accel::reg_ctrl, accel::ctrl_start);
    auto send = start_send(images);
    for (xrt::run& receive : receiving)
      if (receive.wait(limit) != ERT_CMD_STATE_COMPLETED) fail("the receiving mover", limit);
    Batch batch;
    batch.done = Clock::now();
    if (send.wait(limit) != ERT_CMD_STATE_COMPLETED) fail("the sending mover", limit);
    wait_accelerator(limit, "the accelerator");
    check_run(images);
    batch.counted = has_counters_;
    if (has_counters_) {
      batch.first_out_cycles = read_pair(accel::reg_first_out_cycles_lo, accel::reg_first_out_cycles_hi);
      batch.cycles = read_pair(accel::reg_cycles_lo, accel::reg_cycles_hi);
    }
    return batch;
  }

  // How many elements of the results of all outputs differ from the golden ones.
  std::size_t count_mismatches(const std::vector<std::vector<std::uint8_t>>& goldens, std::size_t first,
                               std::size_t count) {
    std::size_t mismatches = 0;
    for (std::size_t i = 0; i < receivers_.size(); ++i)
      mismatches += mismatches_of(receivers_[i], goldens[i], first, count);
    return mismatches;
  }

 private:
  struct Receiver {  // what takes the results of one output
    const accel::Output& output;
    xrt::kernel kernel;
    xrt::bo data;
    xrt::bo status;
  };

  static std::size_t mismatches_of(Receiver& receiver, const std::vector<std::uint8_t>& golden, std::size_t first,
                                   std::size_t count) {
    const accel::Output& output = receiver.output;
    receiver.data.sync(XCL_BO_SYNC_BO_FROM_DEVICE);
    const auto* slots = receiver.data.map<const std::uint8_t*>();
    const std::size_t available = golden.size() / output.image_bytes;
    const unsigned width = output.container_bytes;
    std::size_t mismatches = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint8_t* found = slots + i * output.wire_bytes;
      const std::uint8_t* expected = golden.data() + (first + i) % available * output.image_bytes;
      for (std::size_t e = 0; e < output.image_bytes; e += width)
        mismatches += element(found + e, width, output.bits, output.is_signed) !=
                      element(expected + e, width, output.bits, output.is_signed);
    }
    return mismatches;
  }

  // Arguments are set by index because the streams, index 0 of s2mm and 1 of mm2s, have none to set.
  static xrt::run start_receive(Receiver& receiver, std::uint32_t images) {
    *receiver.status.map<std::uint32_t*>() = ~std::uint32_t{0};
    receiver.status.sync(XCL_BO_SYNC_BO_TO_DEVICE);
    xrt::run run(receiver.kernel);
    run.set_arg(1, receiver.data);
    run.set_arg(2, receiver.status);
    run.set_arg(3, receiver.output.words);
    run.set_arg(4, images);
    run.start();
    return run;
  }

  xrt::run start_send(std::uint32_t images) {
    xrt::run run(mm2s_);
    run.set_arg(0, input_);
    run.set_arg(2, accel::in_words);
    run.set_arg(3, images);
    run.start();
    return run;
  }

  void wait_accelerator(std::chrono::milliseconds limit, const char* what) {
    const auto deadline = Clock::now() + limit;
    while ((accel_.read_register(accel::reg_ctrl) & (accel::ctrl_done | accel::ctrl_idle)) == 0)
      if (Clock::now() > deadline) fail(what, limit);
  }

  // Two halves of a value that stands still between runs.
  std::uint64_t read_pair(std::uint32_t low, std::uint32_t high) {
    const std::uint64_t upper = accel_.read_register(high);
    return upper << 32 | accel_.read_register(low);
  }

  std::chrono::milliseconds timeout_of(std::size_t count) const {
    if (options_.timeout_ms != 0) return std::chrono::milliseconds(options_.timeout_ms);
    const double cycles = double(accel::latency_cycles) + double(count) * double(accel::interval_cycles);
    return std::chrono::milliseconds(std::max<std::int64_t>(
        min_timeout_ms, static_cast<std::int64_t>(timeout_factor * cycles / (accel::clock_mhz * 1e3))));
  }

  void check_run(std::uint32_t images) {
    for (Receiver& receiver : receivers_) {
      receiver.status.sync(XCL_BO_SYNC_BO_FROM_DEVICE);
      const std::uint32_t misplaced = *receiver.status.map<const std::uint32_t*>();
      if (misplaced != 0)
        throw std::runtime_error(std::string(receiver.output.mover) + ": " + std::to_string(misplaced) +
                                 " words had TLAST where it does not belong, or lacked it");
    }
    if (!has_counters_) return;
    const std::uint32_t in = accel_.read_register(accel::reg_beats_in);
    const std::uint32_t out = accel_.read_register(accel::reg_beats_out);
    if (in != images * accel::in_words || out != images * accel::beats_out)
      throw std::runtime_error("beats in and out: expected " + std::to_string(images * accel::in_words) + " and " +
                               std::to_string(images * accel::beats_out) + ", got " + std::to_string(in) + " and " +
                               std::to_string(out));
  }

  [[noreturn]] void fail(const std::string& what, std::chrono::milliseconds limit) {
    std::ostringstream text;
    text << what << " did not finish within " << limit.count() << " ms. State of the device:";
    // In the HLS spelling the addresses of the counters are those of other registers, ctrl among them.
    for (const auto& entry : accel::readable_registers)
      if (has_counters_ || !entry.rtl_only) text << "\n" << entry.name << ": " << accel_.read_register(entry.offset);
    if (!has_counters_) text << "\nbeats in and out: not counted by the HLS spelling";
    text << "\nexpected beats per image: in " << accel::in_words << ", out " << accel::beats_out;
    throw std::runtime_error(text.str());
  }

  static constexpr std::int64_t min_timeout_ms = 10000;
  static constexpr double timeout_factor = 10;

  Options options_;
  bool has_counters_ = false;
  xrt::device device_;
  xrt::uuid uuid_;
  xrt::ip accel_;
  xrt::kernel mm2s_;
  xrt::bo input_;
  std::vector<Receiver> receivers_;
};

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S+00:00", std::gmtime(&now));
  return text;
}

// Write the result file, whole or not at all; README.md says what its fields mean.
void write_result(const std::string& path, std::size_t images, std::size_t mismatches, double host_fps,
                  double host_latency_us, const Batch& last, std::size_t batch) {
  const bool counted = last.counted;
  const double interval = double(last.cycles - last.first_out_cycles) / double(batch - 1);
  std::ostringstream json;
  json.precision(17);
  json << "{\n  \"schema\": 1,\n  \"tool\": \"board\",\n  \"driver\": \"xrt\",\n  \"board\": \"" << accel::board
       << "\",\n  \"part\": \"" << accel::part << "\",\n  \"design_hash\": \"" << accel::design_hash_text
       << "\",\n  \"spelling\": \"" << (counted ? "rtl" : "hls") << "\",\n  \"timing\": \""
       << (counted ? "hardware" : "host") << "\",\n  \"clock_mhz\": " << accel::clock_mhz
       << ",\n  \"images\": " << images << ",\n  \"mismatches\": " << mismatches
       << ",\n  \"host_fps\": " << host_fps << ",\n  \"host_latency_us\": " << host_latency_us;
  if (counted)
    json << ",\n  \"interval_cycles\": " << interval << ",\n  \"latency_cycles\": " << last.first_out_cycles
         << ",\n  \"latency_us\": " << last.first_out_cycles / accel::clock_mhz
         << ",\n  \"fps\": " << accel::clock_mhz * 1e6 / interval;
  else
    json << ",\n  \"fps\": " << host_fps;
  json << ",\n  \"date\": \"" << utc_now() << "\"\n}\n";
  const std::string temporary = path + ".part";
  {
    std::ofstream file(temporary);
    file << json.str();
    if (!file.flush()) throw std::runtime_error(temporary + ": cannot be written");
  }
  if (std::rename(temporary.c_str(), path.c_str()) != 0) throw std::runtime_error(path + ": cannot be written");
}

int measure(const Options& options) {
  const auto vector = load(options.selftest + "/input.bin", accel::in_image_bytes);
  std::vector<std::vector<std::uint8_t>> goldens;
  for (const accel::Output& output : accel::outputs) {
    goldens.push_back(load(options.selftest + "/" + output.golden, output.image_bytes));
    if (vector.size() / accel::in_image_bytes != goldens.back().size() / output.image_bytes)
      throw std::runtime_error(options.selftest + ": input.bin and " + output.golden +
                               " hold different numbers of images");
  }
  Accelerator accelerator(options);
  const std::size_t batches = std::max<std::size_t>(2, (options.images + options.batch - 1) / options.batch);
  std::size_t mismatches = 0;
  std::vector<Batch> done;
  accelerator.fill(vector, 0, options.batch);
  for (std::size_t b = 0; b < batches; ++b) {
    done.push_back(accelerator.run(options.batch));
    mismatches += accelerator.count_mismatches(goldens, 0, options.batch);
  }
  const auto began = Clock::now();
  const auto alone = accelerator.run(1).done - began;
  const std::chrono::duration<double> elapsed = done.back().done - done.front().done;
  const double host_fps = double((batches - 1) * options.batch) / elapsed.count();
  const std::size_t images = batches * options.batch;
  std::cout << images << " images, " << mismatches << " elements differ from the golden results\n";
  write_result(options.result, images, mismatches, host_fps, std::chrono::duration<double, std::micro>(alone).count(),
               done.back(), options.batch);
  std::cout << "measurement written to " << options.result << "\n";
  return mismatches == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return measure(parse_options(argc, argv));
  } catch (const std::exception& error) {
    std::cerr << "host: " << error.what() << "\n";
    return 2;
  }
}
