#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <string_view>

#include "core/record.hpp"

namespace locker::persistence {

/// Decodes records from bytes, and announces each one some time before returning it. With millions
/// of locks, every record touches memory that is in no cache; the announcement allows prefetching
/// it.
class RecordWindow {
 public:
  using OnComing = std::function<void(const core::Record&)>;

  /// `on_coming` may be empty. Bytes and function must outlive the window.
  RecordWindow(std::string_view bytes, const OnComing& on_coming)
      : reader_(bytes), on_coming_(on_coming) {}

  /// Returns the next record, valid until the next call; null at the end and at the first record
  /// that cannot be decoded.
  [[nodiscard]] const core::Record* next() {
    while (count_ < size && reader_.next(at(count_))) {
      if (on_coming_) on_coming_(at(count_));
      ++count_;
    }
    if (count_ == 0) return nullptr;
    const core::Record& first = at(0);
    first_ = (first_ + 1) % size;
    --count_;
    return &first;
  }
  /// As RecordReader::fault(). REQUIRES: next() returned null.
  [[nodiscard]] const char* fault() const { return reader_.fault(); }

 private:
  static constexpr std::size_t size = 16;
  [[nodiscard]] core::Record& at(std::size_t place) { return records_[(first_ + place) % size]; }

  core::RecordReader reader_;
  const OnComing& on_coming_;
  std::array<core::Record, size> records_;
  std::size_t first_ = 0;
  std::size_t count_ = 0;
};

}  // namespace locker::persistence
