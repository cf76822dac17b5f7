#include "core/utf8.hpp"

#include <gtest/gtest.h>

#include <string>

namespace locker::core {
namespace {

// It checks eight bytes at a time: each byte has to count at each position, whatever is next to it.
TEST(Utf8, EachByteCountsAtEachPlace) {
  for (const char beside : {' ', '~'}) {
    for (std::size_t size = 1; size <= 20; ++size) {
      for (std::size_t place = 0; place < size; ++place) {
        for (int byte = 0; byte < 256; ++byte) {
          std::string text(size, beside);
          text[place] = static_cast<char>(byte);
          ASSERT_EQ(is_printable_ascii(text), byte >= ' ' && byte <= '~')
              << "byte " << byte << " at " << place << " of " << size;
        }
      }
    }
  }
  EXPECT_TRUE(is_printable_ascii(""));
}

TEST(Utf8, SeveralRefusedBytesDoNotMakeUpForEachOther) {
  for (int first = 0; first < 256; ++first) {
    for (int second = 0; second < 256; ++second) {
      std::string text = "0123456789";
      text[2] = static_cast<char>(first);
      text[3] = static_cast<char>(second);
      const auto is_fit = [](int byte) { return byte >= ' ' && byte <= '~'; };
      ASSERT_EQ(is_printable_ascii(text), is_fit(first) && is_fit(second))
          << first << " before " << second;
    }
  }
}

}  // namespace
}  // namespace locker::core
