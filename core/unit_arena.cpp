#include "core/unit_arena.hpp"

#include "core/assert.hpp"

namespace locker::core {

std::uint32_t UnitArena::allocate_new(std::size_t size) {
  static_assert(size_for(units_max) == units_max);
  if (remaining_ < size) {
    LOCKER_ASSERT(chunks_.size() < chunks_max);
    const auto begin = static_cast<std::uint32_t>(chunks_.size()) << chunk_shift;
    chunks_.add();  // first: it may throw
    // The rest of the old chunk is kept as a free block, if there are blocks of its size.
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
  return block;
}

}  // namespace locker::core
