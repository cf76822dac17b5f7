// lockerd: reads its options, opens the store, and serves until it is stopped.

#include <fcntl.h>
#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <functional>
#include <memory>
#include <new>
#include <string>
#include <string_view>

#include <spdlog/spdlog.h>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include "server/access/line_budget.hpp"
#include "server/http/http_server.hpp"
#include "server/locker.hpp"
#include "server/program/access_setup.hpp"
#include "server/program/connection_limits.hpp"
#include "server/program/exit_code.hpp"
#include "server/program/fence_watch.hpp"
#include "server/program/logging.hpp"
#include "server/program/options.hpp"
#include "server/program/service_notification.hpp"
#include "server/program/tls_setup.hpp"
#include "server/service/disk_watch.hpp"
#include "server/version.hpp"

namespace locker::server {
namespace {

constexpr std::string_view no_memory =
    "cannot get more memory from the system; nothing that was acknowledged is lost. Raise the "
    "limit (ulimit -v, or vm.overcommit_memory), or lower --memory-max";

constexpr std::chrono::seconds stop_grace{8};
constexpr std::chrono::seconds watch_interval{1};

ExitCode exit_code(const persistence::OpenFault& fault) {
  using Kind = persistence::OpenFault::Kind;
  switch (fault.kind) {
    case Kind::in_use:
      return ExitCode::in_use;
    case Kind::damaged:
    case Kind::newer_format:
    case Kind::not_a_store:
      return ExitCode::damaged;
    case Kind::unreadable:
    case Kind::disk_full:
    case Kind::io:
      return ExitCode::disk;
  }
  return ExitCode::disk;
}

/// Raises the limit of open files to `wanted`, as far as the system permits. Returns the resulting
/// limit, or `wanted` if it is not known.
std::uint64_t raise_descriptor_limit(std::uint64_t wanted) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return wanted;
  if (limit.rlim_cur < wanted) {
    limit.rlim_cur = std::min<rlim_t>(wanted, limit.rlim_max);
    ::setrlimit(RLIMIT_NOFILE, &limit);
    ::getrlimit(RLIMIT_NOFILE, &limit);
  }
  return limit.rlim_cur;
}

/// Lowers the options to as many connections as the system permits. Returns an empty text, or an
/// error message if these are too few to serve anybody.
std::string allow_connections(HttpServer::Options& options) {
  const std::uint64_t wanted = descriptors_wanted(options);
  const std::uint64_t allowed = raise_descriptor_limit(wanted);
  if (allowed >= wanted) return "";
  if (const std::uint64_t least = descriptors_min(options); allowed < least) {
    return "the limit of open files (ulimit -n) is " + std::to_string(allowed) + "; " +
           std::to_string(options.threads) + " threads need " + std::to_string(least) +
           ". Raise it, or use fewer with --threads.";
  }
  limit_connections(allowed, options);
  spdlog::warn("only {} connections at a time: the limit of open files (ulimit -n) is {}",
               options.connections_max, allowed);
  return "";
}

bool is_shortage_of_descriptors(const boost::system::error_code& error) {
  return error == net::error::no_descriptors ||
         error == boost::system::errc::too_many_files_open_in_system;
}

/// The state of the disk is unknown: nothing may be answered any more, not even an error.
void end_on_disk_failure(const core::Fault& fault) {
  spdlog::critical(
      "{} The server exits immediately; everything that it acknowledged was written before.",
      fault.message);
  ::_exit(static_cast<int>(ExitCode::disk));
}

/// Called when an exception is thrown where the server cannot go on, such as in the middle of a
/// decision.
[[noreturn]] void end_without_memory() {
  say_last_words(no_memory);
  ::_exit(static_cast<int>(ExitCode::resources));
}

void warn(std::string_view text) { spdlog::warn("{}", text); }

void log_access(const AccessEntry& entry) {
  spdlog::debug("{} {} {} {} {}", entry.peer, entry.method, entry.path, entry.status, entry.bytes);
}

void log_tls_failure(std::string_view why, std::string_view peer) {
  spdlog::debug("{} failed with a TLS error: {}", peer, why);
}

/// Warns at most once a minute: a flood of connections must not become a flood of log lines.
std::function<void()> warn_of_those_turned_away(std::size_t connections_max) {
  const auto budget = std::make_shared<LineBudget>(1, std::chrono::minutes{1});
  return [budget, connections_max] {
    const auto spent = budget->spend(LineBudget::Clock::now());
    if (!spent.is_allowed) return;
    spdlog::warn(
        "connections are turned away with 503: {} are open, the maximum; on others only /healthz, "
        "/readyz and /metrics are answered. Find out who has opened so many (ss -tn), or raise "
        "--connections-max and, with it, the limit of open files (ulimit -n). This is logged at "
        "most once a minute; {} more were turned away in the meantime",
        connections_max, spent.left_out);
  };
}

HttpServer::Options server_options(const Options& options, const TlsSetup& tls) {
  HttpServer::Options server_options;
  server_options.threads = options.threads;
  server_options.connections_max = options.connections_max;
  server_options.limits.buffered_max = options.buffered_max;
  server_options.tls = tls.context();
  server_options.hooks.on_error = [](std::string_view text) {
    spdlog::error("{}", text == std::bad_alloc{}.what() ? no_memory : text);
  };
  if (spdlog::should_log(spdlog::level::debug)) {
    server_options.hooks.access = log_access;
    server_options.hooks.tls_failed = log_tls_failure;
  }
  server_options.hooks.tell_peer = !options.access.audit_log.empty();
  return server_options;
}

void warn_of_open_door(const tcp::endpoint& endpoint, const Options& options) {
  if (endpoint.address().is_loopback() || !options.tls.client_ca.empty()) return;
  if (options.access.keys.empty()) {
    spdlog::warn(
        "everybody who can reach this address can see, acquire and end locks: there are no keys. "
        "Protect it with --keys FILE (a line for it: locker token new NAME --allow \"admin /\"), "
        "or with --ip 127.0.0.1");
  } else if (options.tls.certificate.empty()) {
    spdlog::warn(
        "keys can be read in transit to this address: there is no TLS. Protect it with "
        "--tls-certificate FILE --tls-key FILE, or listen on 127.0.0.1 behind a proxy that speaks "
        "HTTPS");
  }
}

/// If a server is configured by the environment alone, a mistyped name could leave it without keys.
/// This can only be a warning, because other programs have variables there, too.
void warn_of_unknown_variables(const Options& options) {
  for (const std::string& name : options.unknown_variables) {
    spdlog::warn("{} in the environment is not an option of lockerd and is ignored; see --help",
                 name);
  }
}

void reload_on_hangup(net::signal_set& hangups, AccessSetup& access, TlsSetup& tls) {
  hangups.async_wait([&](const boost::system::error_code& error, int) {
    if (error) return;
    access.reload();
    tls.reload();
    reload_on_hangup(hangups, access, tls);
  });
}

/// Periodic checks. They run on the main thread, because it never waits for the disk of the store.
struct Watch {
  void look_now_and_then() {
    disk.look(locker.metrics().write_age());
    fences.look(locker.service().status().last_fence, std::chrono::system_clock::now());
    timer.expires_after(watch_interval);
    timer.async_wait([this](const boost::system::error_code& error) {
      if (!error) look_now_and_then();
    });
  }

  Locker& locker;
  net::steady_timer timer;
  DiskWatch disk{warn};
  FenceWatch fences{warn};
};

/// Returns after the first SIGTERM or SIGINT; the next one ends the process immediately.
void wait_for_signal(net::io_context& io_context, net::signal_set& signals) {
  signals.async_wait([&](const boost::system::error_code&, int number) {
    std::signal(number, SIG_DFL);
    spdlog::info("stopping: {}", number == SIGINT ? "SIGINT" : "SIGTERM");
    // Cancelling the other waits would not do: the handler of a SIGHUP that came together with this
    // signal would start the next one.
    io_context.stop();
  });
  io_context.run();
  signals.clear();
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
}

boost::system::result<std::unique_ptr<Locker>, persistence::OpenFault> open_locker(
    const Options& options, std::size_t connections) {
  Locker::Options locker_options = options.store;
  share_connections(connections, locker_options);
  locker_options.on_warning = warn;
  locker_options.on_failure = end_on_disk_failure;
  auto opened = Locker::open(locker_options);
  if (opened && (*opened)->recovered().torn_bytes != 0) {
    spdlog::warn(
        "cut {} bytes off the journal, after its last complete frame: the remains of an "
        "unacknowledged write that a crash cut short. If nothing crashed, the disk has changed the "
        "last records; compare with a backup",
        (*opened)->recovered().torn_bytes);
  }
  return opened;
}

void say_memory_max(std::size_t most) {
  if (most == core::Arbiter::Limits{}.memory_max) return;
  spdlog::info("at most {} MiB of memory for locks, leases and waiting requests (--memory-max)",
               most >> 20U);
}

void say_what_listens(const Options& options, const tcp::endpoint& endpoint,
                      std::chrono::milliseconds start_took, const AccessSetup& access,
                      Locker& locker) {
  const std::string at = (options.tls.certificate.empty() ? "" : "https://") +
                         (endpoint.address().is_v6() ? "[" + options.ip + "]" : options.ip) + ":" +
                         std::to_string(endpoint.port());
  spdlog::info(
      "lockerd {} listening on {}, store {}: {} locks recovered in {} ms, durability {}, {}",
      version, at, options.store.file, locker.service().status().locks, start_took.count(),
      name_of(options.store.durability),
      access.has_keys() ? "keys from " + options.access.keys : "no keys");
}

/// Whether to reload on SIGHUP. With nothing to reload, a server ends when its terminal is closed.
bool heeds_hangup(const Options& options) {
  return !options.access.keys.empty() || !options.access.audit_log.empty() ||
         !options.tls.certificate.empty() || ::isatty(STDIN_FILENO) == 0;
}

ExitCode give_up(ExitCode code, const std::string& sentence) {
  spdlog::critical("{}", sentence);
  return code;
}

ExitCode cannot_listen(const boost::system::error_code& error, const Options& options) {
  if (is_shortage_of_descriptors(error)) {
    return give_up(ExitCode::resources,
                   "cannot listen: " + error.message() +
                       ". Raise the limit (ulimit -n), or use fewer threads with --threads.");
  }
  return give_up(ExitCode::unavailable, "cannot listen on " + options.ip + " port " +
                                            std::to_string(options.port) + ": " + error.message() +
                                            ". Choose another with --ip and --port.");
}

ExitCode serve(const Options& options) {
  // Before anything is read: a signal that arrives meanwhile is handled as soon as the store is
  // open.
  net::io_context io_context{1};
  net::signal_set signals{io_context};
  net::signal_set hangups{io_context};
  if (heeds_hangup(options)) hangups.add(SIGHUP);
  signals.add(SIGINT);
  signals.add(SIGTERM);

  const auto access = AccessSetup::open(options.access);
  if (!access) return give_up(ExitCode::misconfigured, access.error().message);
  auto tls = TlsSetup::open(options.tls);
  if (!tls) return give_up(ExitCode::misconfigured, tls.error().message);
  HttpServer::Options http_options = server_options(options, *tls);
  const std::string fault = allow_connections(http_options);
  if (!fault.empty()) return give_up(ExitCode::resources, fault);
  http_options.hooks.turned_away = warn_of_those_turned_away(http_options.connections_max);

  const auto began = std::chrono::steady_clock::now();
  auto opened = open_locker(options, http_options.connections_max);
  if (!opened) return give_up(exit_code(opened.error()), opened.error().message);
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::steady_clock::now() - began);
  Locker& locker = **opened;

  if ((*access)->is_wanted()) locker.metrics().show((*access)->metrics());
  const auto gate = (*access)->make_gate(locker.handler(), locker.service());
  RequestHandler& handler =
      (*access)->is_wanted() ? static_cast<RequestHandler&>(*gate) : locker.handler();
  http_options.metrics = &locker.http_metrics();
  HttpServer server{handler, locker.commit(), http_options};
  const tcp::endpoint endpoint{net::ip::make_address(options.ip), options.port};
  if (const auto error = server.start(endpoint)) return cannot_listen(error, options);
  say_what_listens(options, server.endpoint(), took, **access, locker);
  say_memory_max(options.store.service.limits.memory_max);
  warn_of_open_door(endpoint, options);
  warn_of_unknown_variables(options);

  notify_service_manager("READY=1");
  reload_on_hangup(hangups, **access, *tls);
  Watch watch{locker, net::steady_timer{io_context}};
  watch.look_now_and_then();
  wait_for_signal(io_context, signals);
  notify_service_manager("STOPPING=1");
  if (locker.metrics().write_age() >= disk_patience) {
    spdlog::warn(
        "the process cannot exit until the store's disk responds, usually not even if it is "
        "killed; until then no other process can open the store");
  }
  locker.handler().set_draining();
  locker.service().begin_stop();
  server.stop(stop_grace);
  opened->reset();  // syncs
  spdlog::info("stopped");
  return ExitCode::ok;
}

/// If the process was started with one of these streams closed, a file or a connection would get
/// its number, and the log would go there.
void open_standard_streams() {
  int opened = 0;
  do {
    opened = ::open("/dev/null", O_RDWR);  // NOLINT(cppcoreguidelines-pro-type-vararg)
  } while (opened >= 0 && opened <= STDERR_FILENO);
  if (opened >= 0) ::close(opened);
}

}  // namespace
}  // namespace locker::server

int main(int argc, char** argv) try {
  using namespace locker::server;
  open_standard_streams();
  const auto read = read_options(argc, argv);
  if (const auto* const farewell = std::get_if<Farewell>(&read)) {
    if (farewell->log_json) {
      start_logging("critical", true);
      spdlog::critical("{}", farewell->text);
    } else {
      std::fputs(farewell->text.c_str(), farewell->exit_code == 0 ? stdout : stderr);
    }
    return farewell->exit_code;
  }
  const auto& options = std::get<Options>(read);
  start_logging(options.log_level, options.log_json);
  std::set_terminate(end_without_memory);
#ifdef __GLIBC__
  // By default this threshold grows with the blocks that are freed, and the buffers of a snapshot,
  // 7 MB, would stay in the heap of its thread.
  ::mallopt(M_MMAP_THRESHOLD, 128 * 1024);
#endif
  // The failing calls report these conditions in their results.
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  return static_cast<int>(serve(options));
} catch (const std::bad_alloc&) {
  locker::server::end_without_memory();
} catch (const std::exception& error) {
  // The system refuses threads or descriptors. Nothing was acknowledged that is not on disk.
  using namespace locker::server;
  say_last_words("cannot get more threads or open files from the system (" +
                 std::string{error.what()} +
                 "). Raise its limits (ulimit -u, -v and -n, or TasksMax), or use fewer threads "
                 "with --threads");
  return static_cast<int>(ExitCode::resources);
}
