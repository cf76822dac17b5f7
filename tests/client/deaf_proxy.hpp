#pragma once

#include <atomic>
#include <chrono>
#include <list>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

namespace locker::test {

/// Stands in front of a server of this machine, and keeps answers to itself if it is told to: then
/// it closes the connection. Each request and each answer has to come in one piece.
class DeafProxy {
 public:
  explicit DeafProxy(unsigned short server_port);
  ~DeafProxy();
  DeafProxy(const DeafProxy&) = delete;
  DeafProxy& operator=(const DeafProxy&) = delete;

  [[nodiscard]] unsigned short port() const { return acceptor_.local_endpoint().port(); }
  /// To requests that begin so.
  void lose_answers_to(const std::string& begin);
  /// Of requests without an answer after so long the connection is closed.
  void wait_for_answers(std::chrono::milliseconds at_most) { answer_time_max_ = at_most; }

 private:
  using tcp = boost::asio::ip::tcp;

  void accept();
  void forward(tcp::socket& client);
  [[nodiscard]] bool is_lost(const std::string& request);

  boost::asio::io_context io_context_;
  tcp::acceptor acceptor_;
  const unsigned short server_port_;
  std::mutex mutex_;
  std::string lost_ = "nothing";
  std::atomic<std::chrono::milliseconds> answer_time_max_{std::chrono::minutes{1}};
  std::list<tcp::socket> clients_;
  std::vector<std::thread> threads_;
  std::thread accepting_;
};

}  // namespace locker::test
