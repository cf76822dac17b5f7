// Acquire and release, durably: how many cycles a second do N connections make, each with one
// request under way? The same client for lockerd and for Redis (SET NX PX, and the script that
// deletes a key only if it still has our value), so that the two can be compared in one run.
//
//   cycles locker|redis HOST PORT CONNECTIONS SECONDS [contended]
//
// `contended`: all connections want the same path, and try again when it is refused.

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>

namespace {

namespace net = boost::asio;
using tcp = net::ip::tcp;
using ErrorCode = boost::system::error_code;

struct Totals {
  std::uint64_t cycles = 0;
  std::uint64_t refusals = 0;
  bool finished = false;
};

[[noreturn]] void fail(const std::string& what) {
  std::cerr << "cycles: " << what << "\n";
  std::exit(1);
}

/// What is said to a server, and how its answers read.
class Dialogue {
 public:
  virtual ~Dialogue() = default;
  virtual std::string acquire(const std::string& name) = 0;
  virtual std::string release(const std::string& name) = 0;
  /// Whether a whole answer is there.
  virtual bool is_whole(const std::string& answer) = 0;
  virtual bool was_granted(const std::string& answer) = 0;
  virtual bool was_released(const std::string& answer) = 0;
};

class LockerDialogue final : public Dialogue {
 public:
  std::string acquire(const std::string& name) override { return get("/canhaz/bench/" + name); }
  std::string release(const std::string& name) override {
    return get("/nowant/bench/" + name + "?token=" + token_);
  }
  bool is_whole(const std::string& answer) override { return answer.ends_with("}"); }
  bool was_granted(const std::string& answer) override {
    const std::size_t at = answer.find(R"("token": ")");
    if (at != std::string::npos) token_ = answer.substr(at + 10, 36);
    return at != std::string::npos;
  }
  bool was_released(const std::string& answer) override {
    return answer.find(R"("ok": true)") != std::string::npos;
  }

 private:
  static std::string get(const std::string& target) {
    return "GET " + target + " HTTP/1.1\r\nHost: bench\r\n\r\n";
  }
  std::string token_;
};

class RedisDialogue final : public Dialogue {
 public:
  explicit RedisDialogue(std::size_t number) : value_("value" + std::to_string(number)) {}
  std::string acquire(const std::string& name) override {
    return command({"SET", name, value_, "NX", "PX", "60000"});
  }
  std::string release(const std::string& name) override {
    return command({"EVAL",
                    "if redis.call('get',KEYS[1])==ARGV[1] then return redis.call('del',KEYS[1]) "
                    "else return 0 end",
                    "1", name, value_});
  }
  bool is_whole(const std::string& answer) override { return answer.ends_with("\r\n"); }
  bool was_granted(const std::string& answer) override { return answer == "+OK\r\n"; }
  bool was_released(const std::string& answer) override { return answer == ":1\r\n"; }

 private:
  static std::string command(const std::vector<std::string>& words) {
    std::string text = "*" + std::to_string(words.size()) + "\r\n";
    for (const std::string& word : words) {
      text += "$" + std::to_string(word.size()) + "\r\n" + word + "\r\n";
    }
    return text;
  }
  std::string value_;
};

class Client {
 public:
  Client(net::io_context& io_context, const tcp::resolver::results_type& server,
         std::unique_ptr<Dialogue> dialogue, std::string name, Totals& totals)
      : socket_(io_context),
        dialogue_(std::move(dialogue)),
        name_(std::move(name)),
        totals_(totals) {
    net::connect(socket_, server);
    socket_.set_option(tcp::no_delay(true));
  }
  void start() { say(dialogue_->acquire(name_)); }

 private:
  void say(std::string text) {
    request_ = std::move(text);
    answer_.clear();
    net::write(socket_, net::buffer(request_));
    listen();
  }
  void listen() {
    socket_.async_read_some(net::buffer(piece_), [this](const ErrorCode& error, std::size_t size) {
      if (error) fail("the server closed a connection");
      answer_.append(piece_, size);
      if (!dialogue_->is_whole(answer_)) return listen();
      go_on();
    });
  }
  void go_on() {
    if (holds_) {
      if (!dialogue_->was_released(answer_)) fail("a release failed: " + answer_);
      holds_ = false;
      ++totals_.cycles;
      if (!totals_.finished) start();
    } else if (dialogue_->was_granted(answer_)) {
      holds_ = true;
      say(dialogue_->release(name_));
    } else {
      ++totals_.refusals;
      if (!totals_.finished) start();
    }
  }

  tcp::socket socket_;
  std::unique_ptr<Dialogue> dialogue_;
  std::string name_;
  Totals& totals_;
  std::string request_;
  std::string answer_;
  char piece_[2048];
  bool holds_ = false;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 6) fail("usage: cycles locker|redis HOST PORT CONNECTIONS SECONDS [contended]");
  const bool is_redis = std::string(argv[1]) == "redis";
  const bool contended = argc > 6;
  net::io_context io_context{1};
  const auto server = tcp::resolver{io_context}.resolve(argv[2], argv[3]);
  Totals totals;
  std::vector<std::unique_ptr<Client>> clients;
  for (int number = 0; number < std::atoi(argv[4]); ++number) {
    std::unique_ptr<Dialogue> dialogue;
    if (is_redis) {
      dialogue = std::make_unique<RedisDialogue>(number);
    } else {
      dialogue = std::make_unique<LockerDialogue>();
    }
    const std::string name = contended ? "one" : "resource" + std::to_string(number);
    clients.push_back(
        std::make_unique<Client>(io_context, server, std::move(dialogue), name, totals));
  }
  const auto began = std::chrono::steady_clock::now();
  for (const auto& client : clients) client->start();
  io_context.run_for(std::chrono::seconds{std::atoi(argv[5])});
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  std::printf("%.0f cycles/s, %.0f refusals/s\n", static_cast<double>(totals.cycles) / took.count(),
              static_cast<double>(totals.refusals) / took.count());
  totals.finished = true;
  io_context.restart();
  io_context.run_for(std::chrono::seconds{5});  // gives back what is held
}
