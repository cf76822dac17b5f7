#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>
#include <span>
#include <string_view>

#include "persistence/file_system.hpp"

namespace locker::persistence {

/// Memory that File::read_at can read into. REQUIRES: size is a multiple of read_alignment.
class AlignedBytes {
 public:
  explicit AlignedBytes(std::size_t size)
      : data_(static_cast<char*>(std::aligned_alloc(read_alignment, size))), size_(size) {
    if (data_ == nullptr && size != 0) throw std::bad_alloc();
  }
  [[nodiscard]] std::span<char> span() { return {data_.get(), size_}; }
  [[nodiscard]] std::string_view view() const { return {data_.get(), size_}; }

 private:
  struct Free {
    void operator()(char* data) const { std::free(data); }  // NOLINT: the pair of aligned_alloc
  };
  std::unique_ptr<char[], Free> data_;
  std::size_t size_;
};

}  // namespace locker::persistence
