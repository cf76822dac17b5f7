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

/// Bytes that were read from a connection and are not consumed yet. Not thread-safe.
class InputBuffer {
 public:
  /// Keeps room for `kept` bytes. Allocates more only while it is needed, and counts that in
  /// `buffered`.
  InputBuffer(std::size_t kept, SharedCount& buffered)
      : kept_(kept), capacity_(kept), bytes_(std::make_unique<char[]>(kept)), counted_(buffered) {}

  [[nodiscard]] std::string_view unread() const { return {bytes_.get() + begin_, end_ - begin_}; }
  [[nodiscard]] bool is_empty() const { return begin_ == end_; }
  [[nodiscard]] bool is_full() const { return end_ == capacity_; }
  /// Returns the room behind the unread bytes, at most `size_max` bytes, to read into.
  [[nodiscard]] boost::asio::mutable_buffer room(std::size_t size_max) {
    return {bytes_.get() + end_, std::min(size_max, capacity_ - end_)};
  }
  /// Adds `size` bytes, which were read into room().
  void add(std::size_t size) { end_ += size; }
  void use(std::size_t size) { begin_ += size; }
  void clear() { begin_ = end_ = 0; }

  /// Moves the unread bytes to the front, and frees the additional room if possible.
  void compact() {
    if (begin_ != 0) {
      std::memmove(bytes_.get(), bytes_.get() + begin_, end_ - begin_);
      end_ -= std::exchange(begin_, 0);
    }
    // Even if something is unread: it may stay unread for as long as an answer is pending.
    if (capacity_ <= kept_ || end_ >= kept_) return;
    resize(kept_);
    counted_.give_back();
  }
  /// Doubles the room, or makes room for `whole` bytes if that is less. The buffer thus grows as
  /// bytes arrive, and an announced length costs nothing. False: all connections together hold too
  /// much. REQUIRES: compact() was called before.
  [[nodiscard]] bool grow(std::size_t whole) {
    const std::size_t larger = std::max(std::min(2 * capacity_, whole), capacity_ + 1);
    if (!counted_.add(larger - capacity_)) return false;
    resize(larger);
    return true;
  }
  /// Call when the connection is closed. The memory stays, because a read may be under way.
  void give_up() { counted_.give_back(); }

 private:
  /// REQUIRES: the unread bytes are at the front, and fit.
  void resize(std::size_t capacity) {
    auto bytes = std::make_unique<char[]>(capacity);
    std::memcpy(bytes.get(), bytes_.get(), end_);
    bytes_ = std::move(bytes);
    capacity_ = capacity;
  }

  const std::size_t kept_;
  std::size_t capacity_;
  std::size_t begin_ = 0;  // start of the unread bytes
  std::size_t end_ = 0;
  std::unique_ptr<char[]> bytes_;
  SharedPart counted_;
};

}  // namespace locker::server
