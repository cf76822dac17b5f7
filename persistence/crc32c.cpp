#include "persistence/crc32c.hpp"

#include <array>
#include <cstddef>
#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace locker::persistence {
namespace {

constexpr std::uint32_t polynomial_reflected = 0x82f63b78;
constexpr std::size_t slices = 8;
using Tables = std::array<std::array<std::uint32_t, 256>, slices>;

/// tables[k][b] is the effect of byte b followed by k more bytes: slicing by eight.
constexpr Tables make_tables() {
  Tables tables{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t value = byte;
    for (int bit = 0; bit < 8; ++bit) {
      value = (value >> 1) ^ ((value & 1) != 0 ? polynomial_reflected : 0);
    }
    tables[0][byte] = value;
  }
  for (std::size_t slice = 1; slice < slices; ++slice) {
    for (std::size_t byte = 0; byte < 256; ++byte) {
      const std::uint32_t shorter = tables[slice - 1][byte];
      tables[slice][byte] = (shorter >> 8) ^ tables[0][shorter & 0xff];
    }
  }
  return tables;
}

constexpr Tables tables = make_tables();

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) std::uint32_t crc32c_by_instruction(std::uint32_t previous,
                                                                      std::string_view bytes) {
  std::uint64_t state = ~previous;
  while (bytes.size() >= sizeof(std::uint64_t)) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data(), sizeof word);
    state = _mm_crc32_u64(state, word);
    bytes.remove_prefix(sizeof word);
  }
  auto narrow = static_cast<std::uint32_t>(state);
  for (const char byte : bytes) narrow = _mm_crc32_u8(narrow, static_cast<std::uint8_t>(byte));
  return ~narrow;
}

const bool has_instruction = __builtin_cpu_supports("sse4.2") != 0;
#endif

}  // namespace

std::uint32_t crc32c_by_table(std::uint32_t previous, std::string_view bytes) {
  std::uint32_t state = ~previous;
  while (bytes.size() >= slices) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data(), sizeof word);
    word ^= state;
    state = 0;
    for (std::size_t slice = 0; slice < slices; ++slice) {
      state ^= tables[slices - 1 - slice][(word >> (8 * slice)) & 0xff];
    }
    bytes.remove_prefix(slices);
  }
  for (const char byte : bytes) {
    state = (state >> 8) ^ tables[0][(state ^ static_cast<std::uint8_t>(byte)) & 0xff];
  }
  return ~state;
}

std::uint32_t crc32c(std::uint32_t previous, std::string_view bytes) {
#if defined(__x86_64__)
  if (has_instruction) return crc32c_by_instruction(previous, bytes);
#endif
  return crc32c_by_table(previous, bytes);
}

}  // namespace locker::persistence
