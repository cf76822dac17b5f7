// What a connection keeps between its reads and writes.
#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "server/http/input_buffer.hpp"
#include "server/http/output.hpp"
#include "tests/server/later_handler.hpp"

namespace locker::server {
namespace {

/// Adds `bytes` as if they had been read. False: there is no room for them.
bool read(InputBuffer& input, std::string_view bytes) {
  const auto room = input.room(bytes.size());
  if (room.size() != bytes.size()) return false;
  bytes.copy(static_cast<char*>(room.data()), bytes.size());
  input.add(bytes.size());
  return true;
}

TEST(InputBuffer, GrowsAsBytesComeAndGivesBackWhatItHasMore) {
  SharedCount all{1000};
  InputBuffer input{4, all};
  ASSERT_TRUE(read(input, "abcd"));
  EXPECT_TRUE(input.is_full());
  ASSERT_TRUE(input.grow(1000));
  EXPECT_EQ(input.room(1000).size(), 4U);
  ASSERT_TRUE(read(input, "efgh"));
  ASSERT_TRUE(input.grow(9));
  EXPECT_EQ(input.room(1000).size(), 1U);
  EXPECT_EQ(all.value(), 5U);
  EXPECT_EQ(input.unread(), "abcdefgh");
  input.use(4);
  input.compact();
  EXPECT_EQ(all.value(), 5U) << "four are left, which leave no room in a small one";
  input.use(1);
  input.compact();
  EXPECT_EQ(input.unread(), "fgh");
  EXPECT_EQ(input.room(1000).size(), 1U);
  EXPECT_EQ(all.value(), 0U);
}

TEST(InputBuffer, DoesNotGrowWhenAllTogetherHaveTooMuch) {
  SharedCount all{5};
  InputBuffer first{4, all};
  InputBuffer second{4, all};
  ASSERT_TRUE(first.grow(1000));
  ASSERT_TRUE(first.grow(1000)) << "the last one may go beyond";
  EXPECT_FALSE(second.grow(1000));
  EXPECT_EQ(second.room(1000).size(), 4U);
  first.give_up();
  EXPECT_TRUE(second.grow(1000));
}

class OutputTest : public testing::Test {
 protected:
  void append(std::string_view body) {
    Response response;
    response.body = body;
    response.delivery = std::make_unique<CountedDelivery>(deliveries_);
    output_.append(response, "", 0, ConnectionField::none, false);
  }

  DeliveryCount deliveries_;
  SharedCount all_{1};
  Output output_{1000, all_};
};

TEST_F(OutputTest, TellsOfEachAnswerThatIsSentAndDropsTheOthers) {
  append("first");
  const std::size_t first = output_.size();
  append("second");
  output_.add_sent(first);
  EXPECT_FALSE(output_.is_sent());
  EXPECT_EQ(deliveries_.ended, 0);
  output_.give_up();
  EXPECT_EQ(deliveries_.ended, 2);
  EXPECT_EQ(deliveries_.lost, 1);
}

TEST_F(OutputTest, IsCountedOnceAndOnlyIfItIsLarge) {
  append("small");
  EXPECT_TRUE(output_.hold());
  EXPECT_EQ(all_.value(), 0U);
  append(std::string(2000, 'x'));
  EXPECT_TRUE(output_.hold());
  const std::size_t counted = all_.value();
  EXPECT_GE(counted, output_.size());
  EXPECT_TRUE(output_.hold());
  EXPECT_EQ(all_.value(), counted);
  Output other{0, all_};
  other.bytes() = std::string(100, 'x');
  EXPECT_FALSE(other.hold());
  output_.add_sent(output_.size());
  output_.finish();
  EXPECT_EQ(all_.value(), 0U);
  EXPECT_TRUE(output_.is_empty());
  EXPECT_EQ(deliveries_.lost, 0);
}

}  // namespace
}  // namespace locker::server
