#pragma once

#include <cstddef>
#include <memory_resource>
#include <utility>
#include <vector>

namespace locker::core {

/// The approximate size of an entry of a std::map, without its text.
inline constexpr std::size_t map_node_bytes = 96;

/// Memory that grows by chunks of one size, which never move and are all freed together.
class MemoryChunks {
 public:
  static constexpr std::size_t chunk_bytes = std::size_t{2} << 20U;
  static constexpr std::size_t chunk_alignment = 64;

  /// `memory` must outlive this.
  explicit MemoryChunks(std::pmr::memory_resource* memory) : memory_(memory) {}
  MemoryChunks(MemoryChunks&& other) noexcept
      : memory_(other.memory_), chunks_(std::exchange(other.chunks_, {})) {}
  MemoryChunks& operator=(MemoryChunks&& other) noexcept {
    std::swap(memory_, other.memory_);
    chunks_.swap(other.chunks_);
    return *this;
  }
  ~MemoryChunks() {
    for (std::byte* const chunk : chunks_) {
      memory_->deallocate(chunk, chunk_bytes, chunk_alignment);
    }
  }

  /// The new chunk's bytes are not initialised.
  std::byte* add() {
    auto* const chunk = static_cast<std::byte*>(memory_->allocate(chunk_bytes, chunk_alignment));
    return chunks_.emplace_back(chunk);
  }
  [[nodiscard]] std::byte* operator[](std::size_t number) const { return chunks_[number]; }
  [[nodiscard]] std::size_t size() const { return chunks_.size(); }

 private:
  std::pmr::memory_resource* memory_;
  std::vector<std::byte*> chunks_;
};

}  // namespace locker::core
