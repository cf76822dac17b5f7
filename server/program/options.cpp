#include "server/program/options.hpp"

#include <algorithm>
#include <cstdint>
#include <exception>
#include <iterator>
#include <limits>
#include <sstream>
#include <thread>
#include <tuple>

#include <boost/asio/ip/address.hpp>
#include <boost/program_options.hpp>

#include "core/duration_text.hpp"
#include "server/calls/call_reader.hpp"
#include "server/program/exit_code.hpp"
#include "server/program/memory_limit.hpp"
#include "server/program/option_sources.hpp"
#include "server/version.hpp"

namespace locker::server {
namespace {

namespace po = boost::program_options;

const char* const introduction =
    "lockerd: a lock server for scripts, CI jobs and workers. Resources are paths: a lock on\n"
    "/foo/bar excludes others from /foo and /foo/bar/baz, but not from /foo/zip.\n"
    "\n"
    "  lockerd                                  serve on 127.0.0.1:8765, store in ./locks.db\n"
    "  lockerd --ip 0.0.0.0 --port 8080 --file /var/lib/locker\n"
    "  curl http://127.0.0.1:8765/canhaz/my/resource?id=me\n"
    "  curl -X POST 'http://127.0.0.1:8765/v1/locks/my/resource?owner=me&ttl=30s&wait=5m'\n"
    "\n"
    "Every option can also be set in the environment (LOCKER_PORT=8080) and in a config file\n"
    "(port = 8080; # starts a comment). The command line overrides the environment, and the\n"
    "environment overrides the file.\n";

struct Texts {
  // Signed and wide: a negative number that is read as an unsigned one can be a valid one.
  std::int64_t port = 0;
  std::string durability;
  std::int64_t sync_interval = 0;
  std::int64_t threads = 0;
  std::int64_t segment_size = 0;
  std::int64_t memory_max = 0;
  std::string log_format;
  std::string default_ttl;
  std::string max_ttl;
  std::string canhaz_ttl;
};

po::options_description describe(Options& options, Texts& texts) {
  Locker::Options& store = options.store;
  po::options_description all{"Options"};
  auto add = all.add_options();
  add("help,h", "Print this and exit.");
  add("version", "Print the version and exit.");
  add("config", po::value<std::string>(), "File with options, one per line: name = value.");
  add("ip", po::value(&options.ip)->default_value(options.ip),
      "Address to listen on; 0.0.0.0 or :: for all. Beyond loopback, everybody who can reach the "
      "port can acquire and end locks, unless --keys is given.");
  add("port", po::value(&texts.port)->default_value(options.port),
      "Port to listen on. 0: the system chooses one, and the log says which.");
  add("file", po::value(&store.file)->default_value(store.file),
      "Directory of the store; created if it does not exist. One server at a time can use it.");
  add("data", po::value<std::string>(), "The same as --file.");
  add("durability",
      po::value(&texts.durability)->default_value(std::string{name_of(store.durability)}),
      "always: an answer is sent when what it reports is on disk. interval: a power failure can "
      "lose the last --sync-interval. none: a power failure can lose whatever the system had not "
      "yet written. In all three modes a crash of lockerd alone loses nothing.");
  add("sync-interval", po::value(&texts.sync_interval)->default_value(store.sync_interval.count()),
      "Milliseconds between syncs with --durability=interval.");
  add("threads", po::value(&texts.threads)->default_value(options.threads, "one per core"),
      "Threads that serve connections.");
  add("connections-max",
      po::value(&options.connections_max)->default_value(options.connections_max),
      "Maximum number of connections. More are turned away with 503.");
  core::Arbiter::Limits& limits = store.service.limits;
  add("locks-max", po::value(&limits.locks_max)->default_value(limits.locks_max),
      "Maximum number of locks, of about 200 bytes of memory each. More are refused with 503.");
  add("leases-max", po::value(&limits.leases_max)->default_value(limits.leases_max),
      "Maximum number of leases. More are refused with 503.");
  add("memory-max", po::value(&texts.memory_max),
      "MiB of memory for locks, leases, waiting requests and the memory of ended ones. Requests "
      "that need more are refused with 503, except releases and renewals. 0: unlimited. Default: "
      "(cgroup limit - 64 MiB) / 2, but at least 32; unlimited without a cgroup limit.");
  add("waiters-max", po::value(&limits.waiters_max)->default_value(limits.waiters_max),
      "Maximum number of waiting requests. More are refused with 503, and so are those that would "
      "take more than 1 GiB of memory in total. Each occupies a connection; an eighth of the "
      "connections is reserved for other requests, and up to an eighth for /v1/events.");
  add("event-readers-max",
      po::value(&store.event_readers_max)->default_value(store.event_readers_max),
      "Maximum number of readers of /v1/events, and an eighth of the connections at most. More are "
      "refused with 503.");
  add("default-ttl", po::value(&texts.default_ttl)->default_value("0"),
      "TTL of /v1 leases that specify none, such as 30s. 0: that of --max-ttl; if that is 0, too, "
      "they are held until released.");
  add("max-ttl", po::value(&texts.max_ttl)->default_value("0"),
      "Longest TTL that /v1 accepts, such as 1h. 0: 30 days.");
  add("canhaz-ttl", po::value(&texts.canhaz_ttl)->default_value("0"),
      "TTL of locks acquired by canhaz, which cannot be renewed. 0: they are held until released.");
  add("segment-size",
      po::value(&texts.segment_size)
          ->default_value(static_cast<std::int64_t>(store.segment_bytes >> 20U)),
      "MiB of disk that the journal allocates at a time. It allocates less when space is short.");
  add("keys", po::value(&options.access.keys),
      "File with API keys and their rights; `locker token new` creates its lines. Without keys "
      "everybody may do everything. Reloaded on SIGHUP; if it contains a mistake, the old keys "
      "stay in use.");
  add("tls-certificate", po::value(&options.tls.certificate),
      "PEM file with the server's certificate, followed by the intermediate ones. The port then "
      "speaks HTTPS only. Reloaded on SIGHUP, as the next two files are; if one is not valid, the "
      "old ones stay in use.");
  add("tls-key", po::value(&options.tls.key),
      "PEM file with the private key of the certificate, without a passphrase.");
  add("tls-client-ca", po::value(&options.tls.client_ca),
      "PEM file with CA certificates. Only clients with a certificate signed by one of these can "
      "connect.");
  add("audit-log", po::value(&options.access.audit_log),
      "File to which a line of JSON is appended for each grant, release, forced release and "
      "refused access. Reopened on SIGHUP, for logrotate.");
  add("log-level", po::value(&options.log_level)->default_value(options.log_level),
      "trace, debug (one line per request), info, warning, error, or off (only the reason if the "
      "server has to end).");
  add("log-format", po::value(&texts.log_format)->default_value("text"),
      "text, or json: one JSON object per line.");
  return all;
}

Farewell usage(const std::string& sentence, bool log_json) {
  constexpr auto code = static_cast<int>(ExitCode::usage);
  if (log_json) return {sentence + ". Try lockerd --help.", code, true};
  return {"lockerd: " + sentence + "\nTry lockerd --help.\n", code};
}

/// Returns an error if an option for a file is empty, for example because a variable is: running
/// without keys or without TLS would not be what was intended.
std::string find_nameless_file(const po::variables_map& values) {
  for (const char* const name :
       {"keys", "audit-log", "tls-certificate", "tls-key", "tls-client-ca"}) {
    if (values.count(name) != 0 && values[name].as<std::string>().empty()) {
      return std::string{"--"} + name + " must name a file; leave it out if there is none";
    }
  }
  return "";
}

// These functions take over values that are still texts or unchecked numbers. They return an empty
// text, or an error message.

std::string take_address(const Texts& texts, Options& options) {
  boost::system::error_code error;
  boost::asio::ip::make_address(options.ip, error);
  if (error) {
    return "--ip must be an IPv4 or IPv6 address such as 127.0.0.1 or ::, not '" + options.ip + "'";
  }
  if (texts.port < 0 || texts.port > 65'535) return "--port must be from 0 to 65535";
  options.port = static_cast<std::uint16_t>(texts.port);
  return "";
}

std::string take_durability(const Texts& texts, Locker::Options& store) {
  if (texts.durability == "always") {
    store.durability = persistence::Durability::always;
  } else if (texts.durability == "interval") {
    store.durability = persistence::Durability::interval;
  } else if (texts.durability == "none") {
    store.durability = persistence::Durability::none;
  } else {
    return "--durability must be always, interval or none, not '" + texts.durability + "'";
  }
  if (texts.sync_interval < 1 || texts.sync_interval > 60'000) {
    return "--sync-interval must be from 1 to 60000 milliseconds";
  }
  store.sync_interval = std::chrono::milliseconds{texts.sync_interval};
  return "";
}

std::string take_threads(const Texts& texts, Options& options) {
  if (texts.threads < 0 || texts.threads > 1024) return "--threads must be from 0 to 1024";
  options.threads = static_cast<unsigned>(texts.threads);
  if (options.threads == 0) options.threads = std::max(1U, std::thread::hardware_concurrency());
  return "";
}

std::string check_counts(const Options& options) {
  const LockService::Options& service = options.store.service;
  // A negative number was read as an unsigned one above this limit.
  constexpr std::size_t count_max = std::numeric_limits<std::size_t>::max() / 2;
  for (const auto& [name, least, count] :
       {std::tuple{"--connections-max", 1U, options.connections_max},
        std::tuple{"--locks-max", 1U, service.limits.locks_max},
        std::tuple{"--leases-max", 1U, service.limits.leases_max},
        std::tuple{"--waiters-max", 0U, service.limits.waiters_max},
        std::tuple{"--event-readers-max", 0U, options.store.event_readers_max}}) {
    if (count < least || count > count_max) {
      return std::string{name} + " must be at least " + std::to_string(least);
    }
  }
  return "";
}

std::string take_ttls(const Texts& texts, LockService::Options& service) {
  for (const auto& [name, text, ttl] :
       {std::tuple{"--default-ttl", &texts.default_ttl, &service.default_ttl},
        std::tuple{"--max-ttl", &texts.max_ttl, &service.max_ttl},
        std::tuple{"--canhaz-ttl", &texts.canhaz_ttl, &service.legacy_ttl}}) {
    const auto duration = core::parse_duration(*text);
    const bool is_ttl =
        duration && *duration >= std::chrono::milliseconds{1} && *duration <= ttl_max;
    if (!is_ttl && duration != std::chrono::microseconds{0}) {
      return std::string{name} + " must be 0, or a duration from 1ms to 30 days, such as 30s or 1h";
    }
    *ttl = core::Milliseconds{static_cast<std::uint32_t>(duration->count() / 1000)};
  }
  if (service.max_ttl.count() != 0 && service.default_ttl > service.max_ttl) {
    return "--default-ttl must not be longer than --max-ttl";
  }
  return "";
}

std::string check_tls(const TlsContext::Files& tls) {
  if (tls.certificate.empty() != tls.key.empty()) {
    return "--tls-certificate and --tls-key go together; give both";
  }
  if (!tls.client_ca.empty() && tls.certificate.empty()) {
    return "--tls-client-ca needs --tls-certificate and --tls-key";
  }
  return "";
}

std::string take_segment_size(const Texts& texts, Locker::Options& store) {
  if (texts.segment_size < 1 || texts.segment_size > 1024) {
    return "--segment-size must be from 1 to 1024 MiB";
  }
  store.segment_bytes = static_cast<std::uint64_t>(texts.segment_size) << 20U;
  return "";
}

std::string take_memory_max(const Texts& texts, const po::variables_map& values, Options& options) {
  core::Arbiter::Limits& limits = options.store.service.limits;
  const auto cgroup_limit = read_cgroup_limit();
  if (cgroup_limit) options.buffered_max = buffered_max_within(*cgroup_limit);
  constexpr std::int64_t least = memory_max_least >> 20U;
  constexpr std::int64_t most = 1 << 24U;
  if (texts.memory_max != 0 && (texts.memory_max < least || texts.memory_max > most)) {
    return "--memory-max must be from " + std::to_string(least) + " to " + std::to_string(most) +
           " MiB, or 0 for no limit";
  }
  if (texts.memory_max != 0) {
    limits.memory_max = static_cast<std::size_t>(texts.memory_max) << 20U;
  } else if (cgroup_limit && values.count("memory-max") == 0) {
    limits.memory_max = memory_max_within(*cgroup_limit);
  }
  return "";
}

std::string take_logging(const Texts& texts, Options& options) {
  static constexpr std::string_view levels[] = {"trace",   "debug", "info",
                                                "warning", "error", "off"};
  if (std::find(std::begin(levels), std::end(levels), options.log_level) == std::end(levels)) {
    return "--log-level must be trace, debug, info, warning, error or off";
  }
  if (texts.log_format != "text" && texts.log_format != "json") {
    return "--log-format must be text or json";
  }
  options.log_json = texts.log_format == "json";
  return "";
}

std::string take_values(const Texts& texts, const po::variables_map& values, Options& options) {
  Locker::Options& store = options.store;
  if (store.file.empty()) return "--file must name a directory";
  std::string fault = find_nameless_file(values);
  if (fault.empty()) fault = take_address(texts, options);
  if (fault.empty()) fault = take_durability(texts, store);
  if (fault.empty()) fault = take_threads(texts, options);
  if (fault.empty()) fault = check_counts(options);
  if (fault.empty()) fault = take_ttls(texts, store.service);
  if (fault.empty()) fault = check_tls(options.tls);
  if (fault.empty()) fault = take_segment_size(texts, store);
  if (fault.empty()) fault = take_memory_max(texts, values, options);
  if (fault.empty()) fault = take_logging(texts, options);
  return fault;
}

}  // namespace

std::variant<Options, Farewell> read_options(int argc, const char* const* argv) {
  Options options;
  Texts texts;
  const po::options_description all = describe(options, texts);
  po::variables_map values;
  try {
    read_option_sources(argc, argv, all, values);
  } catch (const std::exception& error) {
    return usage(error.what(), asks_for_json(argc, argv, values));
  }
  if (values.count("help") != 0) {
    std::ostringstream text;
    text << introduction << "\n" << all;
    return Farewell{text.str(), 0};
  }
  if (values.count("version") != 0) return Farewell{"lockerd " + std::string{version} + "\n", 0};
  if (const std::string fault = take_values(texts, values, options); !fault.empty()) {
    return usage(fault, asks_for_json(argc, argv, values));
  }
  options.unknown_variables = find_unknown_variables(all);
  return options;
}

}  // namespace locker::server
