#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory_resource>

#include "core/assert.hpp"
#include "core/memory_chunks.hpp"

namespace locker::core {

/// Allocates blocks of 8-byte units, identified by a 32-bit number instead of a pointer: half the
/// size, and the same in every run. Up to 16 GiB in all.
///
/// Freed blocks are kept by size and reused; they are never merged, nor returned to the system. So
/// the memory taken is the sum of the peaks of all sizes; large blocks have few sizes, an eighth
/// apart. Grows by chunks, so that growth never copies anything.
class UnitArena {
 public:
  /// No block has this number.
  static constexpr std::uint32_t null = 0;
  /// The highest bit of a number is never set, and is free for other use.
  static constexpr unsigned number_bits = 31;
  static constexpr std::uint32_t number_mask = (std::uint32_t{1} << number_bits) - 1;
  static constexpr std::size_t unit_bytes = 8;
  static constexpr std::size_t units_max = 576;  ///< The largest block.

  /// Chunks come from `memory`, which must outlive this.
  explicit UnitArena(std::pmr::memory_resource* memory = std::pmr::get_default_resource())
      : chunks_(memory) {}

  /// REQUIRES: 1 <= units <= units_max. The block's bytes are not initialised.
  [[nodiscard]] std::uint32_t allocate(std::size_t units) {
    LOCKER_ASSERT(units >= 1 && units <= units_max);
    const std::size_t size = size_for(units);
    std::uint32_t block = free_[size];
    if (block == null) {
      block = allocate_new(size);
    } else {
      free_[size] = *at<std::uint32_t>(block);
    }
    units_in_use_ += size;
    return block;
  }
  /// REQUIRES: `block` came from allocate(units) and has not been freed since.
  void free(std::uint32_t block, std::size_t units) {
    LOCKER_ASSERT(block != null && units >= 1 && units <= units_max);
    const std::size_t size = size_for(units);
    units_in_use_ -= size;
    keep_free(block, size);
  }

  template <typename T>
  [[nodiscard]] T* at(std::uint32_t block) const {
    static_assert(alignof(T) <= unit_bytes);
    return reinterpret_cast<T*>(chunks_[block >> chunk_shift] +
                                std::size_t{block & chunk_mask} * unit_bytes);
  }
  /// Whether nearly all of the 16 GiB have been allocated, so that nothing new should be started:
  /// blocks that were freed meanwhile may have other sizes. Once true, it stays true.
  [[nodiscard]] bool is_nearly_full() const { return chunks_.size() + chunks_spare > chunks_max; }
  /// The size of the allocated blocks. Freed ones are not counted, as they are reused.
  [[nodiscard]] std::size_t bytes_in_use() const { return units_in_use_ * unit_bytes; }
  /// The units that hold this many bytes.
  static constexpr std::size_t units_for(std::size_t bytes) {
    return (bytes + unit_bytes - 1) / unit_bytes;
  }

 private:
  static constexpr std::size_t exact_max = 32;
  /// The size of the block that is allocated for this many units.
  static constexpr std::size_t size_for(std::size_t units) {
    if (units <= exact_max) return units;
    const std::size_t step = std::bit_floor(units) / 8;
    return (units + step - 1) / step * step;
  }
  [[nodiscard]] std::uint32_t allocate_new(std::size_t size);
  void keep_free(std::uint32_t block, std::size_t size) {
    *at<std::uint32_t>(block) = free_[size];
    free_[size] = block;
  }

  static constexpr unsigned chunk_shift = 18;
  static constexpr std::uint32_t chunk_mask = (1U << chunk_shift) - 1;
  static_assert(MemoryChunks::chunk_bytes == unit_bytes << chunk_shift);
  static constexpr std::size_t chunks_max = std::size_t{1} << (number_bits - chunk_shift);
  static constexpr std::size_t chunks_spare = 64;

  MemoryChunks chunks_;
  std::uint32_t next_ = 0;       // first unit never given out, within the last chunk
  std::uint32_t remaining_ = 0;  // units from there to the chunk's end
  std::size_t units_in_use_ = 0;
  std::array<std::uint32_t, units_max + 1> free_{};  // by size
};

}  // namespace locker::core
