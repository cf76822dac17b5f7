#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>

#include <boost/asio/buffer.hpp>

#include "server/http/shared_count.hpp"

namespace locker::server {

/// What was read from a connection and is not used yet. Not thread-safe.
class InputBuffer {
 public:
  /// Has room for so many bytes, and for more only while it has to; that is counted.
  InputBuffer(std::size_t kept, SharedCount& buffered)
      : kept_(kept), capacity_(kept), bytes_(std::make_unique<char[]>(kept)), counted_(buffered) {}

  [[nodiscard]] std::string_view unread() const { return {bytes_.get() + begin_, end_ - begin_}; }
  [[nodiscard]] bool is_empty() const { return begin_ == end_; }
  [[nodiscard]] bool is_full() const { return end_ == capacity_; }
  /// Where to read to, behind what is unread: at most so many bytes.
  [[nodiscard]] boost::asio::mutable_buffer room(std::size_t size_max) {
    return {bytes_.get() + end_, std::min(size_max, capacity_ - end_)};
  }
  /// So many were read to there.
  void add(std::size_t size) { end_ += size; }
  void use(std::size_t size) { begin_ += size; }
  void clear() { begin_ = end_ = 0; }

  /// Moves what is unread to the front, and gives up the room for more if it can.
  void compact() {
    if (begin_ != 0) {
      std::memmove(bytes_.get(), bytes_.get() + begin_, end_ - begin_);
      end_ -= std::exchange(begin_, 0);
    }
    // Also with something unread: it may stay so for as long as an answer is pending.
    if (capacity_ <= kept_ || end_ >= kept_) return;
    resize(kept_);
    counted_.give_back();
  }
  /// Has twice as much room, or room for `whole` bytes if that is less. So it grows as the bytes
  /// come, and a length that is only announced costs nothing. False: all connections together have
  /// too much. REQUIRES: compact() came before.
  [[nodiscard]] bool grow(std::size_t whole) {
    const std::size_t larger = std::max(std::min(2 * capacity_, whole), capacity_ + 1);
    if (!counted_.add(larger - capacity_)) return false;
    resize(larger);
    return true;
  }
  /// The connection is closed. The memory stays, because a read may be under way.
  void give_up() { counted_.give_back(); }

 private:
  /// REQUIRES: what is unread is at the front and fits.
  void resize(std::size_t capacity) {
    auto bytes = std::make_unique<char[]>(capacity);
    std::memcpy(bytes.get(), bytes_.get(), end_);
    bytes_ = std::move(bytes);
    capacity_ = capacity;
  }

  const std::size_t kept_;
  std::size_t capacity_;
  std::size_t begin_ = 0;  // of what is unread
  std::size_t end_ = 0;
  std::unique_ptr<char[]> bytes_;
  SharedPart counted_;
};

}  // namespace locker::server
