#include "core/unit_arena.hpp"

#include <bit>

#include "core/assert.hpp"

namespace locker::core {
namespace {

constexpr std::size_t exact_max = 32;

/// Of the block that holds so many units.
constexpr std::size_t size_for(std::size_t units) {
  if (units <= exact_max) return units;
  const std::size_t step = std::bit_floor(units) / 8;
  return (units + step - 1) / step * step;
}
static_assert(size_for(UnitArena::units_max) == UnitArena::units_max);

}  // namespace

std::uint32_t UnitArena::allocate(std::size_t units) {
  LOCKER_ASSERT(units >= 1 && units <= units_max);
  const std::size_t size = size_for(units);
  if (const std::uint32_t block = free_[size]; block != null) {
    free_[size] = *at<std::uint32_t>(block);
    units_in_use_ += size;
    return block;
  }
  if (remaining_ < size) {
    LOCKER_ASSERT(chunks_.size() < chunks_max);
    const auto begin = static_cast<std::uint32_t>(chunks_.size()) << chunk_shift;
    chunks_.add();  // first: it may throw
    // What is left of the old chunk is kept as a block, if there is one of its size.
    if (remaining_ > 0 && size_for(remaining_) == remaining_) keep_free(next_, remaining_);
    next_ = begin;
    remaining_ = 1U << chunk_shift;
    if (next_ == null) {
      ++next_;
      --remaining_;
    }
  }
  const std::uint32_t block = next_;
  next_ += static_cast<std::uint32_t>(size);
  remaining_ -= static_cast<std::uint32_t>(size);
  units_in_use_ += size;
  return block;
}

void UnitArena::free(std::uint32_t block, std::size_t units) {
  LOCKER_ASSERT(block != null && units >= 1 && units <= units_max);
  const std::size_t size = size_for(units);
  units_in_use_ -= size;
  keep_free(block, size);
}

void UnitArena::keep_free(std::uint32_t block, std::size_t size) {
  std::uint32_t& first = free_[size];
  *at<std::uint32_t>(block) = first;
  first = block;
}

}  // namespace locker::core
