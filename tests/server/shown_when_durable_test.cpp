// Every call of the API while a grant is not durable yet: its answer waits for that grant, whatever
// the answer is. A handler that forgets to say so would disclose what a power cut can undo.

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json.hpp>

#include "server/calls/api.hpp"
#include "server/calls/openapi.hpp"
#include "tests/server/counted_waker.hpp"
#include "tests/support/gated_journal.hpp"
#include "tests/support/simulated_disk.hpp"

namespace locker::server {
namespace {

struct Call {
  Method method = Method::get;
  std::string_view target;
  unsigned status = 200;
  std::string_view body{};
  std::string_view accept{};
};

std::string_view name_of(Method method) {
  switch (method) {
    case Method::get:
      return "GET";
    case Method::head:
      return "HEAD";
    case Method::post:
      return "POST";
    case Method::delete_:
      return "DELETE";
    case Method::lock:
      return "LOCK";
    case Method::unlock:
      return "UNLOCK";
    case Method::other:
      break;
  }
  return "?";
}

#define TOKEN(digit) #digit "1111111-1111-4111-8111-111111111111"

/// Calls that look at the locks, or decide. Server sets up what they meet.
const std::vector<Call> calls{
    {Method::post, "/v1/locks/free?owner=me", 201},
    {Method::post, "/v1/locks/new?owner=me", 423},
    {Method::post, "/v1/locks/held?owner=holder&token=" TOKEN(1), 200},
    {Method::post, "/v1/locks/held?owner=other&token=" TOKEN(1), 409},
    {Method::post, "/v1/locks/lost?token=" TOKEN(2), 410},
    {Method::get, "/v1/locks/new"},
    {Method::get, "/v1/locks/new", 200, "", "text/plain"},
    {Method::get, "/v1/locks/free"},
    {Method::head, "/v1/locks/new"},
    {Method::delete_, "/v1/locks/held?token=" TOKEN(1)},
    {Method::delete_, "/v1/locks/back?token=" TOKEN(3)},
    {Method::delete_, "/v1/locks/lost?token=" TOKEN(2), 410},
    {Method::delete_, "/v1/locks/new?token=" TOKEN(1), 403},
    {Method::delete_, "/v1/locks/free?token=" TOKEN(1), 404},
    {Method::delete_, "/v1/locks/new?force=true"},
    {Method::delete_, "/v1/locks/free?force=true", 404},
    {Method::post, "/v1/locks", 201, R"({"locks": [{"path": "/free"}, {"path": "/free2"}]})"},
    {Method::post, "/v1/locks", 201, R"({"locks": [{"path": "/new"}, {"path": "/b"}], "any": 1})"},
    {Method::post, "/v1/locks", 423, R"({"locks": [{"path": "/free"}, {"path": "/new"}]})"},
    {Method::get, "/v1/locks"},
    {Method::get, "/v1/locks?limit=1"},
    {Method::get, "/v1/locks?state=waiting"},
    {Method::get, "/v1/locks?state=cooling"},
    {Method::get, "/v1/locks", 200, "", "text/plain"},
    {Method::head, "/v1/locks"},
    {Method::delete_, "/v1/locks?force=true&prefix=/new"},
    {Method::delete_, "/v1/locks?force=true&owner=nobody", 404},
    {Method::post, "/v1/leases?owner=me", 201},
    {Method::post, "/v1/leases?owner=opener&token=" TOKEN(6), 200},
    {Method::post, "/v1/leases?owner=holder&token=" TOKEN(1), 409},
    {Method::post, "/v1/leases?token=" TOKEN(2), 410},
    {Method::get, "/v1/leases?token=" TOKEN(1)},
    {Method::get, "/v1/leases?token=" TOKEN(1), 200, "", "text/plain"},
    {Method::get, "/v1/leases?token=" TOKEN(2), 410},
    {Method::get, "/v1/leases?token=" TOKEN(9), 404},
    {Method::delete_, "/v1/leases?token=" TOKEN(1)},
    {Method::delete_, "/v1/leases?token=" TOKEN(3)},
    {Method::delete_, "/v1/leases?token=" TOKEN(2), 410},
    {Method::delete_, "/v1/leases?token=" TOKEN(9), 404},
    {Method::post, "/v1/leases/renew?token=" TOKEN(1)},
    {Method::post, "/v1/leases/renew?ttl=1h&token=" TOKEN(1)},
    {Method::post, "/v1/leases/renew?token=" TOKEN(2), 410},
    {Method::post, "/v1/leases/renew?token=" TOKEN(9), 404},
    {Method::get, "/v1/status"},
    {Method::get, "/canhaz/free?id=me"},
    {Method::get, "/canhaz/new?id=me"},
    {Method::post, "/canhaz/new?id=me"},
    {Method::get, "/nowant/held?token=" TOKEN(1)},
    {Method::get, "/nowant/new?token=" TOKEN(1)},
    {Method::post, "/nowant/new?token=" TOKEN(1)},
    {Method::get, "/dohaz/new"},
    {Method::get, "/dohaz/free"},
    {Method::post, "/dohaz/new"},
    {Method::lock, "/terraform/free", 200, R"({"ID": "a", "Who": "me"})"},
    {Method::lock, "/terraform/new", 423, R"({"ID": "a", "Who": "me"})"},
    {Method::lock, "/terraform/state", 200, R"({"ID": "state", "Who": "terraform"})"},
    {Method::lock, "/terraform/state", 423, R"({"ID": "state", "Who": "other"})"},
    {Method::lock, "/terraform/lost", 410, R"({"ID": ")" TOKEN(2) R"("})"},
    {Method::unlock, "/terraform/state", 200, R"({"ID": "state"})"},
    {Method::unlock, "/terraform/new", 423, R"({"ID": "state"})"},
    {Method::unlock, "/terraform/free", 404, R"({"ID": "state"})"},
    {Method::unlock, "/terraform/lost", 410, R"({"ID": ")" TOKEN(2) R"("})"},
    {Method::unlock, "/terraform/state"},  // by force
    {Method::unlock, "/terraform/new", 423},
    {Method::unlock, "/terraform/free", 404},
};

/// The answers to these reveal no lock. Events wait by themselves: see below.
const std::vector<Call> calls_that_wait_for_nothing{
    {Method::get, "/v1/events"}, {Method::get, "/v1/openapi.json"}, {Method::get, "/healthz"},
    {Method::get, "/readyz"},    {Method::get, "/metrics"},
};

/// The real Api on a journal whose disk is as slow as the test wants.
class Server {
 public:
  Server() {
    persistence::LocalJournal::Options options;
    options.directory = "store";
    options.segment_bytes = persistence::segment_bytes_min;
    options.random_number = [number = std::uint64_t{0}]() mutable { return ++number; };
    options.on_warning = [](std::string_view) {};
    options.on_failure = [](const core::Fault&) {};
    options.background = false;
    persistence::Recovered recovered;
    auto opened = persistence::LocalJournal::open(
        disk_, options, {[](Index, const core::Record&) { return true; }}, recovered);
    EXPECT_TRUE(opened);
    measured_ = std::move(*opened);
    metrics_ = std::make_unique<Metrics>(service_, commit_, *measured_, http_metrics_);
    api_ = std::make_unique<Api>(service_, *metrics_, "always", "store");
  }
  ~Server() { journal_.open_gate(); }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  Response call(const Call& call) {
    Request request;
    request.method = call.method;
    request.method_name = name_of(call.method);
    request.target = RequestTarget{call.target};
    request.body = call.body;
    request.accept = call.accept;
    if (!call.body.empty()) request.content_type = "application/json";
    Response response;
    api_->answer(request, response);
    return response;
  }

  /// Makes one of everything durable; then stops the disk and grants /new.
  void grant_undurably() {
    for (const Call& call : std::vector<Call>{
             {Method::post, "/v1/locks/held?owner=holder&token=" TOKEN(1), 201},
             {Method::post, "/v1/locks/lost?owner=loser&token=" TOKEN(2), 201},
             {Method::delete_, "/v1/locks/lost?force=true"},
             {Method::post, "/v1/locks/back?token=" TOKEN(3), 201},
             {Method::delete_, "/v1/leases?token=" TOKEN(3)},
             {Method::post, "/v1/leases?owner=opener&token=" TOKEN(6), 201},
             {Method::lock, "/terraform/state", 200, R"({"ID": "state", "Who": "terraform"})"}}) {
      EXPECT_EQ(this->call(call).status, call.status) << call.target;
    }
    core::AcquireCommand command;
    core::Path path;
    EXPECT_EQ(path.push_back("held"), core::Path::Push::ok);
    command.wanted.push_back({std::string{path.view().packed()}, {}});
    command.wait = std::chrono::hours{1};
    waiting_.start(let_in_);
    EXPECT_EQ(service_.acquire(command, &waiting_).answer.outcome, core::Outcome::queued);
    commit_.commit_until(last_index());
    journal_.close_gate();
    EXPECT_EQ(call({Method::get, "/canhaz/new?id=other"}).body.find("\"ok\": true"), 1U);
    EXPECT_FALSE(is_durable(last_index()));
  }
  void let_it_be_durable() {
    journal_.open_gate();
    commit_.commit_until(last_index());
  }

  [[nodiscard]] Index last_index() { return service_.status().index; }
  /// Number of grants to waiters.
  [[nodiscard]] Index let_in() const { return static_cast<Index>(let_in_.wakes); }
  [[nodiscard]] bool is_durable(Index index) const { return commit_.is_durable(index); }

 private:
  test::SimulatedDisk disk_;
  std::unique_ptr<persistence::LocalJournal> measured_;  // the journal that the metrics show
  test::GatedJournal journal_;
  EventLog events_{10, 0, 1};
  GroupCommit commit_{journal_, 0, [](const core::Fault&) {},
                      [this](Index durable) { events_.publish(durable); }};
  CountedWaker let_in_;
  LockService::AwaitedAcquired waiting_;
  LockService service_{std::make_unique<core::Arbiter>(1, core::Arbiter::Limits{}),
                       commit_,
                       events_,
                       journal_,
                       1,
                       {}};
  HttpMetrics http_metrics_;
  std::unique_ptr<Metrics> metrics_;
  std::unique_ptr<Api> api_;
};

TEST(ShownWhenDurable, EveryAnswerThatTellsOfLocks) {
  for (const Call& call : calls) {
    SCOPED_TRACE(std::string{name_of(call.method)} + " " + std::string{call.target} + " " +
                 std::string{call.body});
    Server server;
    server.grant_undurably();
    const Response response = server.call(call);
    ASSERT_FALSE(response.pending);
    EXPECT_EQ(response.status, call.status) << response.body;
    EXPECT_EQ(response.index, server.last_index() - server.let_in());
    EXPECT_FALSE(server.is_durable(response.index));
  }
}

TEST(ShownWhenDurable, OthersDoNotWaitForADiskThatStandsStill) {
  Server server;
  server.grant_undurably();
  for (const Call& call : calls_that_wait_for_nothing) {
    const Response response = server.call(call);
    EXPECT_EQ(response.status, 200U) << call.target;
    EXPECT_EQ(response.index, 0U) << call.target;
  }
}

TEST(ShownWhenDurable, NoCallIsLeftOut) {
  std::vector<Call> all = calls;
  all.insert(all.end(), calls_that_wait_for_nothing.begin(), calls_that_wait_for_nothing.end());
  const boost::json::value api = boost::json::parse(openapi_json);
  for (const auto& [path, methods] : api.at("paths").as_object()) {
    constexpr std::string_view placeholder = "{path}";
    std::string_view begin{path};
    const bool is_of_a_path = begin.ends_with(placeholder);
    if (is_of_a_path) begin.remove_suffix(placeholder.size());
    for (const auto& [method, described] : methods.as_object()) {
      const auto is_it = [&, method = std::string_view{method}](const Call& call) {
        const std::string_view its = name_of(call.method);
        const std::string_view target = call.target.substr(0, call.target.find('?'));
        return std::equal(its.begin(), its.end(), method.begin(), method.end(),
                          [](char a, char b) { return a - 'A' == b - 'a'; }) &&
               (is_of_a_path ? target.starts_with(begin) : target == begin);
      };
      const bool is_there = std::any_of(all.begin(), all.end(), is_it);
      EXPECT_TRUE(is_there || method == "parameters") << method << " " << path;
    }
  }
}

TEST(ShownWhenDurable, AnAnswerThatComesLater) {
  for (const Call& call : std::vector<Call>{
           {Method::post, "/v1/locks/state?wait=1h", 201},
           {Method::post, "/v1/locks", 201, R"({"locks": [{"path": "/state"}], "wait": "1h"})"}}) {
    Server server;
    server.grant_undurably();
    Response response = server.call(call);
    ASSERT_TRUE(response.pending) << response.body;
    const auto pending = std::move(response.pending);
    CountedWaker waker;
    pending->start(waker);
    EXPECT_EQ(waker.wakes, 0);
    ASSERT_EQ(server.call({Method::unlock, "/terraform/state", 200, R"({"ID": "state"})"}).status,
              200U);
    ASSERT_EQ(waker.wakes, 1);
    response = {};
    pending->finish(response);
    EXPECT_EQ(response.status, call.status) << response.body;
    EXPECT_EQ(response.index, server.last_index());
    EXPECT_FALSE(server.is_durable(response.index));
    server.let_it_be_durable();
  }
}

TEST(ShownWhenDurable, Events) {
  Server server;
  CountedWaker waker;
  const auto follow = [&] {
    std::unique_ptr<Stream> stream = server.call({Method::get, "/v1/events"}).stream;
    stream->start(waker);
    return stream;
  };
  const auto read_all = [](Stream& stream) {
    std::string told;
    while (stream.read(told, 64 * 1024) == Stream::Outcome::more) {
    }
    return told;
  };
  const auto before = follow();
  server.grant_undurably();
  const auto after = follow();
  const std::string told = read_all(*before);
  EXPECT_NE(told.find("\"/state\""), std::string::npos) << told;
  EXPECT_EQ(told.find("\"/new\""), std::string::npos) << told;
  EXPECT_EQ(read_all(*after).find("data:"), std::string::npos);
  server.let_it_be_durable();
  EXPECT_NE(read_all(*before).find("\"/new\""), std::string::npos);
  EXPECT_NE(read_all(*after).find("\"/new\""), std::string::npos);
}

}  // namespace
}  // namespace locker::server
