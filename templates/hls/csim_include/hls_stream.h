// SPDX-License-Identifier: MIT-0
// hls::stream for C simulation without a vendor's headers: unbounded, and an error to read when empty.
// Never on the include path of a synthesis run.
#pragma once

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <vector>

namespace hls {

template <class T>
class stream {
 public:
  stream() : head_(0) {}
  stream(const stream&) = delete;
  stream& operator=(const stream&) = delete;

  bool empty() const { return head_ == words_.size(); }
  size_t size() const { return words_.size() - head_; }
  void write(const T& word) { words_.push_back(word); }

  T read() {
    if (empty()) {
      fprintf(stderr, "error: read from an empty stream; a producer gave fewer words than its consumer expects\n");
      exit(3);
    }
    const T word = words_[head_++];
    if (head_ == words_.size()) {
      words_.clear();
      head_ = 0;
    }
    return word;
  }

 private:
  std::vector<T> words_;
  size_t head_;
};

}  // namespace hls
