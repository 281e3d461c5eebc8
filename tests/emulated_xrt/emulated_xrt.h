// A stand-in for XRT's native API: what host.cpp uses of it, over an emulated chip with the accelerator and its movers.
//
// The accelerator answers an image of EMULATED_SELFTEST/input.bin with its results there, in EMULATED_INTERVAL cycles
// (default 40). Faults of results are those of the last output. EMULATED_FAULT: hang, dead (an empty run never ends), hash, wrong, tlast, lost_beat, hls,
// no_device; hls is the HLS spelling, no fault. What it enforces, by a std::logic_error:
//
// - Registers: only those that are there are read, only ctrl and images are written, neither while busy. The HLS register
//   file decodes six address bits, so a counter's address reads another register there; that is refused, but for the
//   register `spelling`, which lies on a reserved word and reads 0. `done` is cleared by reading. The hash of the HLS
//   spelling reads 0 until a run has begun, an empty run counts. The RTL ignores a start with no images.
// - Counters: 64 bits in two halves.
// - Buffers: a host's and a device's side, joined by sync only; both begin with garbage, and are not exceeded.
// - Movers: every argument is set before they start; the receivers before the accelerator; they move as many words as the
//   accelerator.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include "accel_params.hpp"

enum ert_cmd_state { ERT_CMD_STATE_COMPLETED = 4, ERT_CMD_STATE_TIMEOUT = 8 };
enum xclBOSyncDirection { XCL_BO_SYNC_BO_TO_DEVICE, XCL_BO_SYNC_BO_FROM_DEVICE };

namespace emulated {

inline bool fault(const char* name) {
  const char* chosen = std::getenv("EMULATED_FAULT");
  return chosen != nullptr && std::string(chosen) == name;
}

inline std::vector<std::uint8_t> read(const std::string& name) {
  std::ifstream file(std::string(std::getenv("EMULATED_SELFTEST")) + "/" + name, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

struct Memory {
  std::vector<std::uint8_t> host, device;
};

inline void require(bool good, const std::string& what) {
  if (!good) throw std::logic_error(what);
}

struct Mover {
  std::vector<std::shared_ptr<Memory>> buffers{5};
  std::vector<std::uint32_t> scalars = std::vector<std::uint32_t>(5);
  const accel::Output* output = nullptr;  // that it receives; none of the sender
  bool running = false;

  // mm2s(source, stream, words, images); s2mm(stream, sink, status, words, images).
  void check() const {
    const bool is_sender = output == nullptr;
    const std::size_t memory = is_sender ? 0 : 1, words = is_sender ? 2 : 3;
    const std::size_t bytes = is_sender ? accel::in_wire_bytes : output->wire_bytes;
    require(buffers[memory] && (is_sender || buffers[2]), "a buffer of a mover was not set");
    require(scalars[words] == (is_sender ? accel::in_words : output->words), "words of a mover are wrong");
    require(scalars[words + 1] > 0 && scalars[words + 1] * bytes <= buffers[memory]->device.size(),
            "images of a mover are none, or more than its buffer holds");
  }
};

struct Chip {
  std::map<std::uint32_t, std::uint32_t> registers;
  std::shared_ptr<Mover> send;
  std::vector<std::shared_ptr<Mover>> receivers{std::size(accel::outputs)};
  bool busy = false, done = false, has_run = false;
  const bool is_hls = fault("hls") || fault("dead");

  static Chip& instance() {
    static Chip chip;
    return chip;
  }

  void start() {
    const std::uint32_t images = registers[accel::reg_images];
    if (images == 0 && !is_hls) return;
    busy = has_run = true;
    if (images == 0) {
      if (fault("dead")) return;
      busy = false;
      done = true;
      return;
    }
    for (const auto& receive : receivers)
      require(receive && receive->running, "started before the receiving movers were armed");
    move();
  }

  std::uint32_t read_register(std::uint32_t offset) {
    bool known = false;
    for (const auto& entry : accel::readable_registers)
      known |= entry.offset == offset && (!entry.rtl_only || !is_hls || offset == accel::reg_spelling);
    require(known, "read " + std::to_string(offset) + ", which is no register, or another one in HLS");
    const std::uint64_t hash = is_hls && !has_run ? 0 : accel::design_hash;
    if (offset == accel::reg_hash_lo) return std::uint32_t(hash) ^ (fault("hash") ? 1u : 0u);
    if (offset == accel::reg_hash_hi) return std::uint32_t(hash >> 32);
    if (offset == accel::reg_spelling) return is_hls ? 0 : 0x52544c;
    if (offset != accel::reg_ctrl) return registers[offset];
    const std::uint32_t value = (busy ? 1u : 4u) | (done ? 2u : 0u);
    done = false;
    return value;
  }

  void write_register(std::uint32_t offset, std::uint32_t value) {
    require(!busy, "wrote a register while busy");
    require(offset == accel::reg_ctrl || offset == accel::reg_images, "wrote what cannot be written");
    if (offset == accel::reg_images) registers[offset] = value;
    else if (value & 1u) start();
  }

  void move() {
    if (!busy || !send || !send->running || fault("hang")) return;
    const std::uint32_t images = registers[accel::reg_images];
    require(send->scalars[3] == images, "the sending mover moves another number of images than the accelerator");
    for (const auto& receive : receivers) {
      require(receive->scalars[4] == images, "a receiving mover moves another number of images than the accelerator");
      give(*receive, images, receive == receivers.back());
      receive->running = false;
    }
    if (!is_hls) count(images);
    send->running = busy = false;
    done = true;
  }

  // Write the results of one output for all images of the sender.
  void give(Mover& receive, std::uint32_t images, bool is_last) {
    const accel::Output& output = *receive.output;
    const auto inputs = read("input.bin"), golden = read(output.golden);
    for (std::uint32_t i = 0; i < images; ++i) {
      const auto* image = send->buffers[0]->device.data() + i * accel::in_wire_bytes;
      auto* result = receive.buffers[1]->device.data() + i * output.wire_bytes;
      std::size_t known = 0;
      while (std::memcmp(inputs.data() + known * accel::in_image_bytes, image, accel::in_image_bytes) != 0) {
        ++known;
        if (known * accel::in_image_bytes >= inputs.size()) throw std::logic_error("an image nobody knows");
      }
      std::memcpy(result, golden.data() + known * output.image_bytes, output.image_bytes);
      if (fault("wrong") && is_last) result[0] ^= 1;
    }
    const std::uint32_t misplaced = fault("tlast") && is_last ? 2 : 0;
    std::memcpy(receive.buffers[2]->device.data(), &misplaced, sizeof misplaced);
  }

  void count(std::uint32_t images) {
    registers[accel::reg_beats_in] = images * accel::in_words - (fault("lost_beat") ? 1 : 0);
    registers[accel::reg_beats_out] = images * accel::beats_out;
    registers[accel::reg_images_out] = images;
    const char* chosen = std::getenv("EMULATED_INTERVAL");
    const std::uint64_t cycles = 200 + (images - 1) * (chosen == nullptr ? 40ULL : std::stoull(chosen));
    registers[accel::reg_first_out_cycles_lo] = 200;
    registers[accel::reg_first_out_cycles_hi] = 0;
    registers[accel::reg_cycles_lo] = std::uint32_t(cycles);
    registers[accel::reg_cycles_hi] = std::uint32_t(cycles >> 32);
  }
};

}  // namespace emulated

namespace xrt {

class uuid {};

class device {
 public:
  explicit device(unsigned) {
    if (emulated::fault("no_device")) throw std::runtime_error("no such device");
  }
  uuid load_xclbin(const std::string&) { return {}; }
};

class kernel {
 public:
  kernel(const device&, const uuid&, const std::string& name) {
    for (const auto& each : accel::outputs)
      if (name == each.mover) output = &each;
    if (output == nullptr && name != "mm2s:{mm2s_1}") throw std::runtime_error("no kernel " + name);
  }
  int group_id(int argument) const { return argument; }
  const accel::Output* output = nullptr;
};

class bo {
 public:
  bo(const device&, std::size_t bytes, int) : memory(std::make_shared<emulated::Memory>()) {
    memory->host.assign(bytes, 0xa5);
    memory->device.assign(bytes, 0x5a);
  }
  template <typename T>
  T map() {
    return reinterpret_cast<T>(memory->host.data());
  }
  void sync(xclBOSyncDirection direction) {
    if (direction == XCL_BO_SYNC_BO_TO_DEVICE) memory->device = memory->host;
    else memory->host = memory->device;
  }
  std::shared_ptr<emulated::Memory> memory;
};

class run {
 public:
  explicit run(const kernel& k) : mover_(std::make_shared<emulated::Mover>()) {
    mover_->output = k.output;
    emulated::Chip& chip = emulated::Chip::instance();
    (k.output == nullptr ? chip.send : chip.receivers[std::size_t(k.output - accel::outputs)]) = mover_;
  }
  void set_arg(int index, const bo& buffer) { mover_->buffers[std::size_t(index)] = buffer.memory; }
  void set_arg(int index, std::uint32_t value) { mover_->scalars[std::size_t(index)] = value; }
  void start() {
    mover_->check();
    mover_->running = true;
    emulated::Chip::instance().move();
  }
  ert_cmd_state wait(const std::chrono::milliseconds&) {
    return mover_->running ? ERT_CMD_STATE_TIMEOUT : ERT_CMD_STATE_COMPLETED;
  }

 private:
  std::shared_ptr<emulated::Mover> mover_;
};

class ip {
 public:
  ip(const device&, const uuid&, const std::string& name) {
    if (name != "accel:{accel_1}") throw std::runtime_error("no IP " + name);
  }
  void write_register(std::uint32_t offset, std::uint32_t value) {
    emulated::Chip::instance().write_register(offset, value);
  }
  std::uint32_t read_register(std::uint32_t offset) const { return emulated::Chip::instance().read_register(offset); }
};

}  // namespace xrt
