#include "core/large_block.hpp"

#include <sys/mman.h>

#include <new>

namespace locker::core {

LargeBlock make_large_block(bool is_many) {
  LargeBlock block{
      static_cast<std::byte*>(std::aligned_alloc(large_block_bytes, large_block_bytes))};
  if (block == nullptr) throw std::bad_alloc{};
  // Only advice: where it is refused, ordinary pages do.
  if (is_many) static_cast<void>(::madvise(block.get(), large_block_bytes, MADV_HUGEPAGE));
  return block;
}

}  // namespace locker::core
