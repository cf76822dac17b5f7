#include "persistence/crc32c.hpp"

#include <random>
#include <string>

#include <gtest/gtest.h>

namespace locker::persistence {
namespace {

TEST(Crc32c, GivesTheValuesOfRfc3720) {
  EXPECT_EQ(crc32c(0, std::string(32, '\0')), 0x8a9136aaU);
  EXPECT_EQ(crc32c(0, std::string(32, '\xff')), 0x62a8ab43U);
  EXPECT_EQ(crc32c(0, "123456789"), 0xe3069283U);
}

TEST(Crc32c, IsTheSameByInstructionByTableAndInPieces) {
  std::mt19937_64 random{1};
  std::string bytes;
  for (int i = 0; i < 300; ++i) bytes += static_cast<char>(random());
  for (std::size_t begin = 0; begin < 9; ++begin) {
    for (std::size_t size = 0; size + begin <= bytes.size(); ++size) {
      const std::string_view part = std::string_view(bytes).substr(begin, size);
      const std::uint32_t whole = crc32c(0, part);
      EXPECT_EQ(crc32c_by_table(0, part), whole);
      EXPECT_EQ(crc32c(crc32c(0, part.substr(0, size / 3)), part.substr(size / 3)), whole);
    }
  }
}

}  // namespace
}  // namespace locker::persistence
