#include "core/unit_arena.hpp"

#include "core/assert.hpp"

namespace locker::core {

std::uint32_t UnitArena::allocate(std::size_t units) {
  LOCKER_ASSERT(units >= 1 && units <= units_max);
  if (const std::uint32_t block = free_[units]; block != null) {
    free_[units] = *at<std::uint32_t>(block);
    return block;
  }
  if (remaining_ < units) {
    LOCKER_ASSERT(chunks_.size() < chunks_max);
    const auto begin = static_cast<std::uint32_t>(chunks_.size()) << chunk_shift;
    chunks_.add();  // first: it may throw
    // What is left of the old chunk is kept as a block of its own size.
    if (remaining_ > 0) free(next_, remaining_);
    next_ = begin;
    remaining_ = 1U << chunk_shift;
    if (next_ == null) {
      ++next_;
      --remaining_;
    }
  }
  const std::uint32_t block = next_;
  next_ += static_cast<std::uint32_t>(units);
  remaining_ -= static_cast<std::uint32_t>(units);
  return block;
}

void UnitArena::free(std::uint32_t block, std::size_t units) {
  *at<std::uint32_t>(block) = free_[units];
  free_[units] = block;
}

}  // namespace locker::core
