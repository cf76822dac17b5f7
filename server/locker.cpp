#include "server/locker.hpp"

#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <mutex>

#include "core/url_path.hpp"
#include "persistence/posix_file_system.hpp"
#include "server/calls/error_answer.hpp"
#include "server/service/token_source.hpp"
#include "server/service/wall_clock.hpp"

namespace locker::server {
namespace {

/// Returns a fence above every fence ever issued, even if an old backup was restored: the clock in
/// microseconds, because no server grants a million locks a second for longer than it has been
/// running. If the clock cannot be right, returns one above those that the store knows of.
core::Fence first_fence(core::Fence last_fence) {
  return std::max(last_fence + 1, wall_for_fences(std::chrono::system_clock::now()));
}

bool is_clock_wrong() { return wall_for_fences(std::chrono::system_clock::now()) == 0; }

void append_query_value(std::string_view value, std::string& out) {
  for (const char c : value) {
    if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) {
      out += c;
    } else {
      core::append_percent_encoded(c, out);
    }
  }
}

/// Blocks a caller that has no connection, and nothing else to do.
class BlockingWaker final : public Waker {
 public:
  void wake() override {
    const std::lock_guard lock{mutex_};
    is_woken_ = true;
    woken_.notify_one();
  }
  void block() {
    std::unique_lock lock{mutex_};
    woken_.wait(lock, [this] { return is_woken_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable woken_;
  bool is_woken_ = false;
};

void say(const core::Fault& fault) { std::fprintf(stderr, "locker: %s\n", fault.message.c_str()); }

}  // namespace

boost::system::result<std::unique_ptr<Locker>, persistence::OpenFault> Locker::open(
    const Options& options) {
  persistence::LocalJournal::Options journal_options;
  journal_options.directory = options.file;
  journal_options.durability = options.durability;
  journal_options.sync_interval = options.sync_interval;
  journal_options.segment_bytes = options.segment_bytes;
  journal_options.random_number = random_seed;
  journal_options.on_warning = options.on_warning ? options.on_warning : [](std::string_view) {};
  journal_options.on_failure = options.on_failure ? options.on_failure : say;

  auto files = std::make_unique<persistence::PosixFileSystem>();
  auto memory = std::make_unique<MemoryAhead>();
  std::unique_ptr<core::Arbiter> arbiter;
  const auto start_over = [&] {
    arbiter = std::make_unique<core::Arbiter>(random_seed(), options.service.limits, memory.get());
  };
  start_over();
  persistence::Recovered recovered;
  auto journal = persistence::LocalJournal::open(
      *files, journal_options,
      {[&arbiter](persistence::Index, const core::Record& record) {
         return arbiter->replay(record);
       },
       start_over, [&arbiter](const core::Record& record) { arbiter->prefetch(record); }},
      recovered);
  if (!journal) return journal.error();
  if (is_clock_wrong()) {
    journal_options.on_warning(
        "the clock shows a date before 2020 or after 2199: until it is corrected, fences only "
        "count up from the last one in the store, and after a backup is restored some are issued "
        "twice");
  }
  return std::unique_ptr<Locker>(new Locker(options, std::move(files), std::move(*journal),
                                            std::move(memory), std::move(arbiter), recovered,
                                            first_fence(recovered.last_fence)));
}

Locker::Locker(const Options& options, std::unique_ptr<persistence::FileSystem> files,
               std::unique_ptr<persistence::LocalJournal> journal,
               std::unique_ptr<MemoryAhead> memory, std::unique_ptr<core::Arbiter> arbiter,
               const persistence::Recovered& recovered, core::Fence first_fence)
    : recovered_(recovered),
      files_(std::move(files)),
      journal_(std::move(journal)),
      memory_(std::move(memory)),
      events_(options.event_readers_max, recovered.last_index, first_fence),
      commit_(*journal_, recovered.last_index, options.on_failure ? options.on_failure : say,
              [this](Index durable) { events_.publish(durable); }),
      service_(std::move(arbiter), commit_, events_, *journal_, first_fence, options.service),
      metrics_(service_, commit_, *journal_, http_metrics_),
      api_(service_, metrics_, std::string{name_of(options.durability)}, options.file) {}

Locker::~Locker() {
  Index last = 0;
  {
    const std::lock_guard lock{commit_.mutex()};
    last = commit_.last_index();
  }
  commit_.commit_until(last);
}

std::string Locker::canhaz(std::string_view path, Parameters parameters) {
  return call_verb("/canhaz", path, parameters);
}

std::string Locker::nowant(std::string_view path, Parameters parameters) {
  return call_verb("/nowant", path, parameters);
}

std::string Locker::dohaz(std::string_view path) { return call_verb("/dohaz", path, {}); }

std::string Locker::call_verb(std::string_view verb, std::string_view path, Parameters parameters) {
  std::string target{verb};
  if (!path.starts_with('/')) target += '/';
  for (const char c : path) {
    // Otherwise whoever chooses the path could inject parameters.
    if (c == '?') {
      core::append_percent_encoded(c, target);
    } else {
      target += c;
    }
  }
  char separator = '?';
  for (const auto& [name, value] : parameters) {
    target += separator;
    target += name;
    target += '=';
    append_query_value(value, target);
    separator = '&';
  }
  Request request;
  request.method_name = "GET";
  request.target = RequestTarget{target};
  return call(request).body;
}

Response Locker::call(const Request& request) {
  Response response;
  api_.answer(request, response);
  if (response.stream) {
    response = {};
    answer_error(501, "not_implemented", "Events are served to connections only.", response);
  }
  if (const auto pending = std::move(response.pending)) {
    BlockingWaker waker;
    pending->start(waker);
    waker.block();
    response = {};
    pending->finish(response);
  }
  commit_.commit_until(response.index);
  if (response.delivery) response.delivery->delivered();
  return response;
}

}  // namespace locker::server
