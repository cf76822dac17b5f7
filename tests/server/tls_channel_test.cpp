#include <openssl/ssl.h>
#include <sys/ioctl.h>

#include <string>

#include <gtest/gtest.h>
#include <boost/asio/error.hpp>

#include "tests/server/tls_fixture.hpp"

namespace locker::server {
namespace {

class TlsChannelTest : public TlsFixture {
 protected:
  /// Sends key updates, messages without data, until the connection takes no more.
  void fill_with_changes_of_keys() {
    while (SSL_do_handshake(client_.get()) == 1 &&
           SSL_key_update(client_.get(), SSL_KEY_UPDATE_NOT_REQUESTED) == 1) {
    }
  }

  void change_keys_and_send(const std::string& text) {
    ASSERT_EQ(SSL_key_update(client_.get(), SSL_KEY_UPDATE_NOT_REQUESTED), 1);
    ASSERT_EQ(SSL_write(client_.get(), text.data(), static_cast<int>(text.size())),
              static_cast<int>(text.size()));
  }

  [[nodiscard]] int unread() const {
    int size = 0;
    EXPECT_EQ(ioctl(descriptors_[0], FIONREAD, &size), 0);
    return size;
  }
};

TEST_F(TlsChannelTest, DataBetweenChangesOfKeysIsReadForEver) {
  for (int round = 0; round < 20'000; ++round) {  // half a megabyte of key updates
    change_keys_and_send("GET");
    std::string text;
    while (text.size() < 3) {
      text += read();
      ASSERT_TRUE(!error_ || error_ == net::error::would_block) << channel_->fault();
    }
    ASSERT_EQ(text, "GET");
  }
}

TEST_F(TlsChannelTest, MessagesWithoutDataGiveOthersTheirTurnAndEndTheConnection) {
  constexpr int of_call_max = 1024;  // a record or two, of 27 bytes each
  std::size_t taken = 0;
  while (!error_ || error_ == net::error::would_block) {
    if (unread() <= of_call_max) fill_with_changes_of_keys();
    const int before = unread();
    ASSERT_GT(before, of_call_max);
    read();
    const int of_call = before - unread();
    ASSERT_LE(of_call, of_call_max);
    taken += static_cast<std::size_t>(of_call);
    ASSERT_LE(taken, 128U * 1024U);
  }
  EXPECT_EQ(error_, boost::system::errc::protocol_error);
  EXPECT_EQ(channel_->fault(), "too many messages without data");
  read();
  EXPECT_EQ(error_, boost::system::errc::protocol_error);
}

}  // namespace
}  // namespace locker::server
