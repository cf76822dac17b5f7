// torture: hundreds of clients that use a running lockerd in every way there is, and a history of
// all that they asked and were answered, for check_history. The server may be killed, started again
// and stopped meanwhile.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <fstream>
#include <iostream>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/program_options.hpp>

#include "tests/histories/torture_client.hpp"

namespace locker::histories {
namespace {

namespace po = boost::program_options;

/// A client that is not done so long after the end waits for a reply that does not come.
constexpr std::chrono::seconds grace{120};

struct Options {
  std::uint16_t port = 0;
  double seconds = 10;
  std::uint64_t seed = std::random_device{}();
  unsigned clients = 256;
  double pace_ms = 20;
  std::int64_t canhaz_ttl_ms = 0;
  std::string history;
};

Options read_options(int argc, char** argv) {
  Options options;
  po::options_description all{"torture --port PORT --history FILE [options]"};
  auto add = all.add_options();
  add("port", po::value(&options.port)->required(), "of a lockerd on this machine");
  add("history", po::value(&options.history)->required(), "the file to write");
  add("seconds", po::value(&options.seconds), "how long");
  add("seed", po::value(&options.seed), "of all that the clients choose");
  add("clients", po::value(&options.clients), "how many");
  add("pace-ms", po::value(&options.pace_ms), "how long a client thinks, on average");
  add("canhaz-ttl-ms", po::value(&options.canhaz_ttl_ms), "what lockerd was told");
  po::variables_map values;
  try {
    po::store(po::parse_command_line(argc, argv, all), values);
    po::notify(values);
  } catch (const po::error& fault) {
    std::cerr << "torture: " << fault.what() << "\n" << all;
    std::exit(64);
  }
  return options;
}

class Torture {
 public:
  explicit Torture(const Options& options)
      : options_(options), file_(options.history), over_(io_context_), late_(io_context_) {
    History history;
    history.seed = options.seed;
    history.canhaz_ttl_ms = options.canhaz_ttl_ms;
    file_ << first_line_of(history) << "\n";
    run_.port = options.port;
    run_.seed = options.seed;
    run_.pace_ms = options.pace_ms;
    run_.owners.resize(options.clients);
    run_.grants.resize(options.clients);
    run_.doing.resize(options.clients);
    run_.on_operation = [this](const Operation& operation) {
      ++operations_;
      answered_ += operation.is_answered() ? 1 : 0;
      file_ << line_of(operation) << "\n";
    };
  }

  int run() {
    for (unsigned number = 0; number < options_.clients; ++number) {
      clients_.push_back(std::make_unique<TortureClient>(run_, number));
      ++living_;
      net::co_spawn(io_context_, clients_.back()->live(), [this](const std::exception_ptr& fault) {
        if (fault) std::rethrow_exception(fault);
        if (--living_ == 0) late_.cancel();
      });
    }
    over_.expires_after(std::chrono::milliseconds{static_cast<int>(options_.seconds * 1'000)});
    over_.async_wait([this](const boost::system::error_code&) {
      run_.is_over = true;
      late_.expires_after(grace);
      late_.async_wait([this](const boost::system::error_code& error) {
        if (!error && living_ != 0) io_context_.stop();
      });
    });
    io_context_.run();
    std::cout << "seed " << options_.seed << ": " << operations_ << " requests of "
              << options_.clients << " clients, " << answered_ << " answered\n";
    if (living_ != 0) {
      for (const std::string& request : run_.doing) {
        if (!request.empty()) std::cout << "no answer to " << request << "\n";
      }
      return 1;
    }
    return file_.flush() ? 0 : 74;
  }

 private:
  const Options options_;
  std::ofstream file_;
  net::io_context io_context_{1};
  TortureRun run_{io_context_, 0, 0, 0, {}, false, {}, {}, {}};
  std::vector<std::unique_ptr<TortureClient>> clients_;
  unsigned living_ = 0;
  std::size_t operations_ = 0;
  std::size_t answered_ = 0;
  net::steady_timer over_;
  net::steady_timer late_;
};

}  // namespace
}  // namespace locker::histories

int main(int argc, char** argv) try {
  return locker::histories::Torture{locker::histories::read_options(argc, argv)}.run();
} catch (const std::exception& fault) {
  std::cerr << "torture: " << fault.what() << "\n";
  return 70;
}
