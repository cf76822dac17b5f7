// One client for every lock server. Measures how many acquire-release pairs, queries, renewals,
// refusals or hand-overs per second N connections achieve, and the latency of each. All servers of
// a comparison are measured with the same program, because it shares the machine with them.
//
// cycles SERVER PORT [OPTION…]
// cycles --help

#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/ip/address.hpp>
#include <boost/program_options.hpp>

#include "bench/cycles/connection.hpp"

namespace locker::bench {
namespace {

namespace po = boost::program_options;
using Seconds = std::chrono::duration<double>;

const std::map<std::string, Work> works = {
    {"pairs", Work::pairs}, {"contended", Work::contended}, {"hand-over", Work::hand_over},
    {"query", Work::query}, {"renewal", Work::renewal},     {"refusal", Work::refusal},
};

struct Settings {
  std::string server;
  std::uint16_t port = 0;
  std::string host;
  std::string work;
  std::size_t connections = 1;
  double seconds = 1;
  double warm_up = 0;
  bool json = false;
};

/// Returns false if only the help was wanted.
bool read_settings(int argc, char** argv, Settings& settings, Run& run) {
  po::options_description options{
      "cycles SERVER PORT [OPTION…]\n"
      "SERVER: locker, locker-v1, redis, etcd, zookeeper, postgres, postgres-advisory"};
  auto add = options.add_options();
  add("help", "Print this.");
  add("server", po::value(&settings.server)->required(), "");
  add("port", po::value(&settings.port)->required(), "");
  add("host", po::value(&settings.host)->default_value("127.0.0.1"), "");
  add("work", po::value(&settings.work)->default_value("pairs"),
      "pairs: acquire and release a path of one's own. contended: all want one, and ask again. "
      "hand-over: all want one, and wait. query, renewal, refusal.");
  add("connections", po::value(&settings.connections)->default_value(64), "");
  add("pipelined", po::value(&run.lanes)->default_value(1), "Requests under way on each.");
  add("depth", po::value(&run.depth)->default_value(2), "Segments of a path.");
  add("among", po::value(&run.among)->default_value(0),
      "Lock siblings of so many held locks, as load_store makes them.");
  add("seconds", po::value(&settings.seconds)->default_value(3), "");
  add("warm-up", po::value(&settings.warm_up)->default_value(0.3),
      "Seconds that do not count; more, until each connection has had an answer.");
  add("json", po::bool_switch(&settings.json), "Print the figures for programs.");
  po::positional_options_description places;
  places.add("server", 1).add("port", 1);
  po::variables_map values;
  po::store(po::command_line_parser(argc, argv).options(options).positional(places).run(), values);
  if (values.count("help") != 0) {
    std::cout << options;
    return false;
  }
  po::notify(values);
  if (!works.contains(settings.work)) throw std::invalid_argument("no such work");
  run.work = works.at(settings.work);
  return true;
}

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

void print(const Settings& settings, const Run& run, double took, double cpu) {
  const char* const format =
      settings.json
          ? "{\"per_second\": %.1f, \"refusals_per_second\": %.1f, \"p50_ms\": %.4f, "
            "\"p99_ms\": %.4f, \"max_ms\": %.4f, \"client_cpu\": %.2f}\n"
          : "%.0f cycles/s, %.0f refusals/s; %.3f ms (p50), %.3f ms (p99), %.3f ms (max); "
            "client: %.2f of a core\n";
  std::printf(format, static_cast<double>(run.done) / took,
              static_cast<double>(run.refusals) / took, run.latencies.milliseconds(0.5),
              run.latencies.milliseconds(0.99), run.latencies.max_milliseconds(), cpu / took);
}

constexpr double patience = 60;  // seconds

void run_for(server::net::io_context& io_context, double seconds) {
  io_context.run_for(std::chrono::duration_cast<std::chrono::nanoseconds>(Seconds{seconds}));
}

void work(const Settings& settings, Run& run) {
  server::net::io_context io_context{1};
  const server::tcp::endpoint endpoint{server::net::ip::make_address(settings.host), settings.port};
  std::vector<std::unique_ptr<Connection>> connections;
  const auto connect = [&](std::size_t number, Run& its_run) {
    auto dialogue = make_dialogue(settings.server, {number, run.work});
    if (its_run.lanes > 1 && !dialogue->can_pipeline()) {
      throw std::invalid_argument("this server is not asked pipelined");
    }
    return std::make_unique<Connection>(io_context, endpoint, std::move(dialogue), number, its_run);
  };
  Run holding;
  holding.work = run.work;
  std::unique_ptr<Connection> holder;
  if (run.work == Work::refusal) {
    holder = connect(settings.connections, holding);
    holder->ask_all(Verb::acquire);
  }
  for (std::size_t i = 0; i < settings.connections; ++i) connections.push_back(connect(i, run));
  if (run.work == Work::renewal) {
    for (const auto& connection : connections) connection->ask_all(Verb::acquire);
  }

  run.released = std::chrono::steady_clock::now();
  for (const auto& connection : connections) connection->start();
  run_for(io_context, settings.warm_up);
  // Until each has an answer, some are still connecting, or on their way to their first place in
  // the queue.
  for (double waited = 0; run.answered < settings.connections; waited += 0.01) {
    if (waited > patience) throw Unexpected{"connections without an answer"};
    run_for(io_context, 0.01);
  }
  run.counts = true;
  const double cpu = cpu_seconds();
  const auto began = std::chrono::steady_clock::now();
  run_for(io_context, settings.seconds);
  const Seconds took = std::chrono::steady_clock::now() - began;
  run.counts = false;
  print(settings, run, took.count(), cpu_seconds() - cpu);

  run.finished = true;
  run_for(io_context, patience);  // releases what is held
  if (!io_context.stopped()) throw Unexpected{"requests that are not answered"};
  if (run.work == Work::renewal) {
    for (const auto& connection : connections) connection->ask_all(Verb::release);
  }
  if (holder) holder->ask_all(Verb::release);
  for (const auto& connection : connections) connection->part();
  if (holder) holder->part();
}

}  // namespace
}  // namespace locker::bench

int main(int argc, char** argv) {
  try {
    locker::bench::Settings settings;
    locker::bench::Run run;
    if (locker::bench::read_settings(argc, argv, settings, run)) locker::bench::work(settings, run);
  } catch (const std::exception& error) {
    std::cerr << "cycles: " << error.what() << "\n";
    return 1;
  }
}
