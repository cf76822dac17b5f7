#include "server/service/memory_ahead.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <set>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace locker::server {
namespace {

constexpr std::size_t block_bytes = MemoryAhead::block_bytes;

TEST(MemoryAhead, EachBlockIsItsOwn) {
  MemoryAhead memory;
  std::set<void*> blocks;
  for (int i = 0; i < 40; ++i) {
    void* const block = memory.allocate(block_bytes);
    std::memset(block, i, block_bytes);
    EXPECT_TRUE(blocks.insert(block).second);
  }
  for (void* const block : blocks) {
    const auto* const bytes = static_cast<const char*>(block);
    EXPECT_TRUE(std::all_of(bytes, bytes + block_bytes, [&](char byte) { return byte == *bytes; }));
    memory.deallocate(block, block_bytes);
  }
}

bool is_touched(void* block) {
  unsigned char first_page = 0;
  EXPECT_EQ(::mincore(block, 1, &first_page), 0);
  return (first_page & 1U) != 0;
}

TEST(MemoryAhead, TouchesAhead) {
  using namespace std::chrono_literals;
  MemoryAhead memory;
  std::vector<void*> blocks;
  const auto give_up = std::chrono::steady_clock::now() + 60s;
  do {
    ASSERT_LT(std::chrono::steady_clock::now(), give_up);
    blocks.push_back(memory.allocate(block_bytes));
    std::this_thread::sleep_for(1ms);
  } while (!is_touched(blocks.back()));
  for (void* const block : blocks) memory.deallocate(block, block_bytes);
}

TEST(MemoryAhead, OtherSizesAreServedToo) {
  MemoryAhead memory;
  for (const std::size_t size : {std::size_t{1}, std::size_t{4096}, 2 * block_bytes}) {
    void* const block = memory.allocate(size, 64);
    std::memset(block, 1, size);
    memory.deallocate(block, size, 64);
  }
}

TEST(MemoryAhead, MayBeGivenUpAtAnyMoment) {
  for (int count = 0; count < 60; count += 3) {
    MemoryAhead memory;
    std::vector<void*> blocks;
    for (int i = 0; i < count; ++i) blocks.push_back(memory.allocate(block_bytes));
    for (void* const block : blocks) memory.deallocate(block, block_bytes);
  }
}

}  // namespace
}  // namespace locker::server
