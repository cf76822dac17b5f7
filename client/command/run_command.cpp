#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <filesystem>
#include <iostream>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>

#include "client/command/child_process.hpp"
#include "client/command/commands.hpp"
#include "client/command/guardian.hpp"
#include "client/command/job_signals.hpp"
#include "client/command/patient_call.hpp"
#include "client/command/terminal_text.hpp"
#include "client/command/waiting_line.hpp"
#include "client/command/wanted_options.hpp"
#include "client/library/lease_keeper.hpp"
#include "client/library/lock.hpp"
#include "client/library/run_to_end.hpp"
#include "core/duration_text.hpp"

namespace locker::client {
namespace {

constexpr milliseconds guardian_delay{1'000};

constexpr const char* help =
    "locker run [OPTION…] PATH… -- COMMAND [ARGUMENT…]\n"
    "\n"
    "Waits for the locks, holds them while the command runs, and releases them.\n"
    "\n"
    "  locker run /db/backup -- pg_dump shop\n"
    "  locker run --wait 0 /cron/report -- ./report    does not wait if another machine runs it\n"
    "  locker run --any 1 /agents/a /agents/b -- sh -c 'build-on \"$LOCKER_PATH\"'\n"
    "\n"
    "The command finds LOCKER_PATH, LOCKER_TOKEN, LOCKER_FENCE and LOCKER_URL in its\n"
    "environment, with https also LOCKER_CA_FILE and the like. It has a process group of its own,\n"
    "which gets the signals that locker gets. Processes that it leaves behind are left alone.\n"
    "\n"
    "If the lease is not renewed in time, or locker is killed, the group gets TERM, and KILL\n"
    "before others can have the lock; except when locker and its guardian are killed together.\n"
    "If the lock is forced, the group gets TERM at the next renewal, and KILL after --kill-after;\n"
    "meanwhile others can have the lock, unless --lock-delay keeps them out.\n"
    "\n"
    "Exit code: the command's, or 128 plus the signal that ended it. 64 usage error, 69 the\n"
    "server is unreachable, 70 the lock was lost, 75 not acquired, or refused for now, 77 not\n"
    "permitted, 126 and 127 the command cannot be run.\n";

/// Adds absolute paths, so that a `locker` in the command reaches the same server from any
/// directory.
void add_files(const ServerAddress::Tls& tls, const std::string& key_file,
               std::vector<std::pair<std::string, std::string>>& environment) {
  for (const auto& [name, file] :
       {std::pair{"LOCKER_CA_FILE", &tls.ca_file},
        std::pair{"LOCKER_CLIENT_CERTIFICATE", &tls.certificate},
        std::pair{"LOCKER_CLIENT_KEY", &tls.key}, std::pair{"LOCKER_KEY_FILE", &key_file}}) {
    std::error_code error;
    const auto path = std::filesystem::absolute(*file, error);
    if (!file->empty() && !error) environment.emplace_back(name, path.string());
  }
}

/// One `locker run`, from the acquire to the release. Single-threaded.
class Run {
 public:
  Run(ServerAddress server, std::string key_file, Wanted wanted, Acquisition::Options how,
      Arguments command, bool says, milliseconds kill_after)
      : server_(std::move(server)),
        key_file_(std::move(key_file)),
        wanted_(std::move(wanted)),
        command_(std::move(command)),
        says_(says),
        kill_after_(kill_after),
        client_(io_context_, server_),
        signals_(io_context_),
        timer_(io_context_),
        line_(io_context_, server_, wanted_),
        acquisition_(client_, wanted_, with_trouble(std::move(how))) {}

  int run() {
    ignored_ = await_job_signals(signals_);
    await_signal();
    net::co_spawn(io_context_, acquisition_.async_run(),
                  [this](const std::exception_ptr& error, const Result<Grant>& granted) {
                    line_.stop();
                    rethrow(error);
                    if (!ended_) on_decided(granted);
                  });
    if (says_) net::co_spawn(io_context_, line_.async_run(), rethrow);
    while (!ended_ && io_context_.run_one() != 0) {
    }
    if (interrupted_while_waiting_) leave_the_line();
    // A shell script continues after a program that returns 130, and ends after one that SIGINT
    // has killed.
    const bool is_by_interrupt = interrupted_while_waiting_ && *ended_ == 128 + SIGINT;
    if (is_by_interrupt || is_interrupted_by_key_) ::signal(SIGINT, SIG_DFL);
    if (is_by_interrupt) ::raise(SIGINT);
    if (is_interrupted_by_key_) ::kill(0, SIGINT);  // also for the shell that waits for us
    return *ended_;
  }

 private:
  Acquisition::Options with_trouble(Acquisition::Options how) {
    if (says_) how.on_trouble = [this](const Failure& failure) { line_.say_trouble(failure); };
    return how;
  }

  void say(const std::string& text) const { std::cerr << "locker: " << printable(text) << "\n"; }

  void await_signal() {
    signals_.async_wait([this](const boost::system::error_code& error, int number) {
      if (error) return;
      on_signal(number);
      if (!ended_) await_signal();
    });
  }

  void on_signal(int number) {
    if (!child_) {
      if (number == SIGTSTP) ::raise(SIGSTOP);
      if (!ends_job(number)) return;
      line_.stop();
      interrupted_while_waiting_ = true;
      ended_ = 128 + number;
      return;
    }
    if (number == SIGCHLD) {
      if (guardian_->is_gone()) guard();
      return on_child();
    }
    if (number == SIGINT) is_sent_interrupt_ = true;
    if (number == SIGCONT) {  // we were stopped and have not renewed the lease
      keeper_->hurry();
      child_->give_terminal();
    }
    child_->signal(number);
    if (ends_job(number)) child_->signal(SIGCONT);  // a stopped command would not see the signal
  }

  void on_decided(const Result<Grant>& granted) {
    if (!granted) {
      ended_ = complain(granted.error(), exit_code_without_running(granted.error()));
      return;
    }
    grant_ = *granted;
    ChildProcess::Start start;
    start.command = command_;
    std::string paths;
    for (const std::string& path : grant_.paths) paths += (paths.empty() ? "" : " ") + path;
    start.environment = {{"LOCKER_PATH", paths},
                         {"LOCKER_TOKEN", grant_.token},
                         {"LOCKER_FENCE", std::to_string(grant_.fence)},
                         {"LOCKER_URL", server_.url()}};
    add_files(server_.tls, key_file_, start.environment);
    sigemptyset(&start.signal_mask);
    start.ignored = ignored_;
    start.before_exec = [this](pid_t group) { guardian_->watch(group, lease()); };
    guardian_.emplace();
    auto [child, fault] = ChildProcess::start(start);
    if (!child) {
      say("cannot run " + command_.front() + ": " + std::strerror(fault));
      guardian_->dismiss();
      release();
      ended_ = number(fault == ENOENT ? ExitCode::not_found : ExitCode::cannot_run);
      return;
    }
    child_ = *child;
    keeper_.emplace(io_context_, server_, grant_, [this] { tell_guardian(); });
    tell_guardian();
    net::co_spawn(io_context_, keeper_->async_run(),
                  [this](const std::exception_ptr& error, std::optional<Failure> failure) {
                    rethrow(error);
                    if (failure && !ended_) on_lost(*failure);
                  });
    on_child();  // it may have ended before we waited for SIGCHLD
  }

  void on_child() {
    int status = 0;
    switch (child_->look(status)) {
      case ChildProcess::State::running:
        return;
      case ChildProcess::State::stopped:
        return stop_too(WSTOPSIG(status));
      case ChildProcess::State::ended:
        break;
    }
    const bool had_terminal = child_->take_terminal();
    keeper_->stop();
    guardian_->dismiss();
    if (is_lost_) {
      child_->signal(SIGKILL);  // the rest of the group
      ended_ = number(ExitCode::lost);
      release();  // others need not wait for the TTL
      return;
    }
    ended_ = exit_code_of_status(status);
    if (!release()) ended_ = number(ExitCode::lost);
    // Ctrl-C interrupts only the foreground group: the command's, and not ours.
    is_interrupted_by_key_ =
        had_terminal && !is_sent_interrupt_ && WIFSIGNALED(status) && WTERMSIG(status) == SIGINT;
  }

  /// The current TTL: the command may have changed it with `locker renew --ttl`.
  [[nodiscard]] std::optional<milliseconds> ttl() const {
    return keeper_ ? keeper_->ttl() : grant_.ttl;
  }

  [[nodiscard]] BootClock::time_point ends_at() const {
    if (keeper_) return keeper_->ends_at();
    return grant_.ttl ? grant_.sent + *grant_.ttl : BootClock::time_point::max();
  }

  void guard() {
    guardian_.emplace();
    tell_guardian();
  }

  [[nodiscard]] Guardian::Lease lease() const {
    Guardian::Lease lease{.ends_at = ends_at(), .grace = kill_after_};
    if (const auto now = ttl()) {
      lease.ttl = *now;
      lease.grace = *now / 3;
    }
    return lease;
  }

  void tell_guardian() const { guardian_->watch(child_->group(), lease()); }

  /// After the command was stopped, stops this process too, so that the shell sees it and can
  /// continue both; nothing is renewed in between. Without a shell only the command is continued,
  /// by whoever stopped it, and it needs its lock then: we go on renewing.
  void stop_too(int number) {
    const bool wants_terminal = number == SIGTTIN || number == SIGTTOU;
    if (wants_terminal && child_->lend_terminal()) return child_->signal(SIGCONT);
    if (!child_->has_shell(wants_terminal)) return say_it_is_kept();
    child_->take_terminal();
    if (const auto most = ttl()) {
      say("stopped; the lock is kept for at most " + short_duration(*most));
    }
    if (!stop_job(number)) say_it_is_kept();
  }

  void say_it_is_kept() const { say("the command is stopped; the lock is kept for it"); }

  void on_lost(const Failure& failure) {
    is_lost_ = true;
    child_->signal(SIGTERM);
    child_->signal(SIGCONT);
    // If the server did not answer, the lease still lives, and the command has time until shortly
    // before its end. If the server said that the lease has ended, it has kill_after_ only.
    const auto now = BootClock::now();
    auto kill_at = now + kill_after_;
    if (failure.kind != Failure::Kind::lost) {
      kill_at = std::max(now, keeper_->ends_at() - ttl().value_or(milliseconds{0}) / 20);
    } else {  // if we are stopped by then, the guardian kills a little later
      guardian_->watch(child_->group(),
                       {.ends_at = kill_at + guardian_delay, .grace = kill_after_});
    }
    timer_.expires_at(kill_at);
    timer_.async_wait([this, has_time = kill_at > now](const boost::system::error_code& error) {
      if (error || ended_) return;
      child_->signal(SIGKILL);
      say(has_time ? "the command has not ended, and is killed"
                   : "no time is left; the command is killed");
    });
    say("the lock is lost: " + failure.message);  // last: may block if nobody reads it
  }

  /// Returns false if the lock had been lost before.
  bool release() const {
    const auto patience = is_lost_ ? milliseconds{0} : release_patience;
    const auto answered =
        call_patiently(server_, release_call(grant_.token), patience, release_patience);
    if (is_lost_) return false;
    const bool is_done = answered && answered->status == 200;
    if (is_done && !tells_of_loss(*answered, grant_)) return true;
    const auto part = is_done ? find_loss(server_, grant_) : std::nullopt;
    if (is_done && !part) return true;
    const Failure failure = part ? *part : answered ? answered->failure() : answered.error();
    if (failure.kind == Failure::Kind::lost) {
      say("the lock was lost before the command ended: " + failure.message);
      return false;
    }
    if (ttl()) {
      say("the lock could not be released and ends with its TTL: " + failure.message);
    } else {
      say("THE LOCK IS STILL HELD, because it could not be released: " + failure.message);
    }
    return true;
  }

  void leave_the_line() {
    io_context_.restart();
    HttpClient another{io_context_, server_};
    bool done = false;
    net::co_spawn(io_context_, acquisition_.async_give_up(another),
                  [&done](const std::exception_ptr&, bool) { done = true; });
    while (!done && io_context_.run_one() != 0) {
    }
  }

  const ServerAddress server_;
  const std::string key_file_;
  const Wanted wanted_;
  const Arguments command_;
  const bool says_;
  const milliseconds kill_after_;
  net::io_context io_context_{1};
  HttpClient client_;
  net::signal_set signals_;
  BootTimer timer_;
  WaitingLine line_;
  Acquisition acquisition_;
  Grant grant_;
  sigset_t ignored_;  // by our parent's choice
  std::optional<Guardian> guardian_;
  std::optional<ChildProcess> child_;
  std::optional<LeaseKeeper> keeper_;
  std::optional<int> ended_;  // the exit code
  bool is_lost_ = false;
  bool is_sent_interrupt_ = false;
  bool is_interrupted_by_key_ = false;
  bool interrupted_while_waiting_ = false;
};

}  // namespace

int run_run_command(const Arguments& arguments) {
  const auto separator = std::find(arguments.begin(), arguments.end(), "--");
  CommandLine line{help, options::options_description{"Options"}};
  add_wanted_options(line.visible);
  auto add = line.visible.add_options();
  add("kill-after", options::value<std::string>()->value_name("TIME")->default_value("5s"),
      "time from TERM to KILL when the server says that the lock is lost");
  add("quiet,q", "do not print who is in the way");
  line.hidden.add_options()("path", options::value<Arguments>());
  line.positional.add("path", -1);
  const auto read = read_arguments({arguments.begin(), separator}, std::move(line));
  if (const int* const code = std::get_if<int>(&read)) return *code;
  const auto& values = std::get<options::variables_map>(read);
  auto wanted = read_wanted_options(values);
  if (!wanted) return number(ExitCode::usage);
  if (values.count("path") == 0 || separator == arguments.end() ||
      separator + 1 == arguments.end()) {
    return complain("Write what to lock and what to run: locker run PATH… -- COMMAND…",
                    ExitCode::usage);
  }
  const auto kill_after = core::parse_duration(text_of(values, "kill-after"));
  if (!kill_after) return complain("--kill-after is not a duration; write 5s.", ExitCode::usage);
  auto server = server_of(values);
  if (!server) return complain(server.error());
  Acquisition::Options how;
  how.wait = wanted->wait;
  how.patience = wanted->patience();
  Run run{std::move(*server),
          text_of(values, "key-file"),
          std::move(wanted->wanted),
          std::move(how),
          {separator + 1, arguments.end()},
          values.count("quiet") == 0,
          std::chrono::ceil<milliseconds>(*kill_after)};
  return run.run();
}

}  // namespace locker::client
