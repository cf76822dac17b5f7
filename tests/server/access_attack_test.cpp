// Requests made of pieces that might deceive a part of the server, sent with a key for /ci.
// Whatever they are, nothing outside /ci is acquired, ended, renewed or disclosed.

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <unistd.h>

#include "core/token_text.hpp"
#include "core/url_path.hpp"
#include "server/gate/gate.hpp"
#include "server/locker.hpp"

namespace locker::server {
namespace {

constexpr std::string_view secret_owner = "secretary";
constexpr std::string_view secret_meta = "merger";
constexpr std::string_view secret_key = "locker_of_ci";

using Pieces = std::vector<std::string_view>;

const Pieces starts{"/v1/locks/", "/v1/locks/", "/v1/locks", "/v1/leases",  "/v1/leases/renew",
                    "/v1/events", "/v1/status", "/canhaz",   "/nowant",     "/dohaz",
                    "/terraform", "/metrics",   "/",         "/v1",         "//v1/locks/",
                    "/v1/locks;", "/healthz",   "/ui",       "/v1/locks/ci"};
const Pieces segments{"ci",     "ci",   "ci",     "prod",      "ci2", "c",  "x",
                      "..",     ".",    "%2F",    "%2f",       "",    "CI", "ci;",
                      "%2e%2e", "c%69", "%70rod", "prod%2Fdb", "db",  "%",  "%00"};
const Pieces names{"prefix", "prefix",       "token", "force",  "force",
                   "fence",  "owner",        "wait",  "any",    "mode",
                   "state",  "lock_parents", "id",    "reason", "lockChildren"};
const Pieces values{"true", "True",    "1",     "false", "0",      "shared", "%2Fci",
                    "/ci",  "/prod",   "/",     "",      "/ci/..", "/ci/x",  "somebody",
                    "held", "waiting", "/%63i", "/ci2",  "ci",     "%252Fci"};

class Attack : public ::testing::Test {
 protected:
  void SetUp() override {
    directory_ =
        std::filesystem::temp_directory_path() / ("locker-attack-" + std::to_string(::getpid()));
    std::filesystem::create_directories(directory_);
    Locker::Options options;
    options.file = directory_ / "store";
    options.durability = persistence::Durability::none;
    options.segment_bytes = std::uint64_t{1} << 20U;
    auto opened = Locker::open(options);
    ASSERT_TRUE(opened.has_value()) << opened.error().message;
    locker_ = std::move(*opened);
    load_key();
    gate_ =
        std::make_unique<Gate>(locker_->handler(), locker_->service(), metrics_, &keys_, nullptr);
    take("/prod/db", theirs_, "exclusive");
    take("/", shared_, "shared");
    prod_ = held("/prod/db");
  }
  void TearDown() override {
    gate_.reset();
    locker_.reset();
    std::filesystem::remove_all(directory_);
  }

  void load_key(std::string_view rules = "lock /ci force /ci") {
    std::ofstream file{directory_ / "keys"};
    file << "ci sha256:";
    for (const std::uint8_t byte : core::sha256(secret_key)) {
      file << "0123456789abcdef"[byte >> 4U] << "0123456789abcdef"[byte & 15U];
    }
    file << ' ' << rules << '\n';
    file.close();
    const auto fault = keys_.load(directory_ / "keys");
    ASSERT_FALSE(fault) << fault->message;
  }

  void take(const std::string& path, const std::string& token, const std::string& mode) {
    const std::string target = "/v1/locks" + path + "?ttl=1d&lock_parents=false&token=" + token +
                               "&mode=" + mode +
                               "&lock_children=false&owner=" + std::string{secret_owner} +
                               "&meta=" + std::string{secret_meta};
    Request request;
    request.method = Method::post;
    request.target = RequestTarget{target};
    ASSERT_EQ(locker_->call(request).status, 201U);
  }

  std::vector<core::LockInfo> held(const std::string& prefix) {
    core::Path path;
    EXPECT_FALSE(core::parse_url_path(prefix, path));
    LockPages::Query query;
    query.packed_prefix = path.view().packed();
    query.limit = 1000;
    return locker_->service().list(query).answer.locks;
  }

  std::string_view any_of(const Pieces& pieces) { return pieces[random_() % pieces.size()]; }
  bool one_in(unsigned count) { return random_() % count == 0; }

  std::string any_path() {
    std::string path{one_in(2) ? "/ci" : ""};
    for (std::size_t i = 0, count = random_() % 4; i < count; ++i) {
      path += (i == 0 && one_in(3)) ? "" : "/";
      path += any_of(segments);
    }
    return path;
  }

  std::string any_token() {
    switch (random_() % 4) {
      case 0:
        return theirs_;
      case 1:
        return shared_;
      case 2:
        return ours_;
      default:
        return "00000000-0000-4000-8000-00000000000" + std::to_string(random_() % 4);
    }
  }

  std::string any_query() {
    std::string query;
    for (std::size_t i = 0, count = random_() % 3; i < count; ++i) {
      query += query.empty() ? '?' : '&';
      const std::string_view name = any_of(names);
      query += name;
      query += '=';
      query += name == "token" ? any_token() : std::string{any_of(values)};
    }
    return query;
  }

  std::string any_body() {
    const std::string token = R"("token": ")" + any_token() + "\"";
    switch (random_() % 5) {
      case 0:
        return "{" + token + "}";
      case 1:
        return R"({"ID": ")" + any_token() + R"(", "Who": "me"})";
      case 2:
        return R"({"locks": [{"path": ")" + any_path() + R"("}, {"path": "/ci)" + any_path() +
               R"("}], "any": 1})";
      case 3:
        return R"({"locks": [{"path": "/ci)" + any_path() + R"("}, {"path": ")" + any_path() +
               R"("}], )" + token + "}";
      default:
        return "{}";
    }
  }

  /// Executes the request as a connection would, and returns everything that it is told.
  std::string send(const Request& request) {
    Response response;
    gate_->answer(request, response);
    if (const auto pending = std::move(response.pending)) {
      if (pending->abandon()) return "";
      response = {};
      pending->finish(response);
    }
    if (response.stream) static_cast<void>(response.stream->read(response.body, 65'536));
    statuses_[response.status / 100] += 1;
    return std::move(response.body);
  }

  std::mt19937 random_{20'250'611};
  const std::string theirs_ = "11111111-1111-4111-8111-111111111111";
  const std::string shared_ = "22222222-2222-4222-8222-222222222222";
  const std::string ours_ = "33333333-3333-4333-8333-333333333333";
  std::filesystem::path directory_;
  std::unique_ptr<Locker> locker_;
  KeyRing keys_;
  AccessMetrics metrics_;
  std::unique_ptr<Gate> gate_;
  std::vector<core::LockInfo> prod_;
  std::array<unsigned, 6> statuses_{};
};

TEST_F(Attack, ARefusalThatTellsOfALeaseWaitsForWhatItTells) {
  const std::string authorization = "Bearer " + std::string{secret_key};
  Request request;
  request.method = Method::post;
  request.authorization = authorization;
  request.target = RequestTarget{"/v1/leases/renew"};
  request.lock_token = theirs_;
  Response response;
  gate_->answer(request, response);
  EXPECT_EQ(response.status, 403U);
  EXPECT_EQ(response.index, locker_->service().status().index);
}

TEST_F(Attack, AStreamThatNeedsAKeyNamesItsPlaceInComments) {
  const std::string authorization = "Bearer " + std::string{secret_key};
  Request request;
  request.authorization = authorization;
  request.target = RequestTarget{"/v1/events?prefix=/ci"};
  Response response;
  gate_->answer(request, response);
  ASSERT_TRUE(response.stream) << response.body;
  std::string told;
  EXPECT_EQ(response.stream->read(told, 65'536), Stream::Outcome::waits);
  std::string comment;
  response.stream->append_comment(comment);
  EXPECT_TRUE(comment.starts_with(": \nid: ")) << comment;
  EXPECT_TRUE(comment.ends_with("\n\n")) << comment;
}

TEST_F(Attack, WhatALargeLeaseHoldsCountsByTheRulesOfNowAndTheRightThatIsNeeded) {
  for (int i = 0; i < 200; ++i) take("/ci/" + std::to_string(i), ours_, "exclusive");
  const std::string authorization = "Bearer " + std::string{secret_key};
  const std::string target = "/v1/leases?token=" + ours_;
  Request look;
  look.authorization = authorization;
  look.target = RequestTarget{target};
  Request renew;
  renew.method = Method::post;
  renew.authorization = authorization;
  renew.target = RequestTarget{"/v1/leases/renew"};
  renew.lock_token = ours_;
  const auto status_of = [this](const Request& request) {
    Response response;
    gate_->answer(request, response);
    return response.status;
  };
  for (int again = 0; again < 2; ++again) {
    load_key("read /ci lock /ci/199");
    EXPECT_EQ(status_of(look), 200U);
    EXPECT_EQ(status_of(renew), 403U);
    load_key("lock /ci");
    EXPECT_EQ(status_of(look), 200U);
    EXPECT_EQ(status_of(renew), 200U);
  }
  take("/elsewhere", ours_, "exclusive");
  EXPECT_EQ(status_of(look), 403U);
  EXPECT_EQ(status_of(renew), 403U);
}

TEST_F(Attack, WhoIsNotEvenBegunToWaitForLeavesTheQueue) {
  const std::string authorization = "Bearer " + std::string{secret_key};
  Request request;
  request.method = Method::post;
  request.authorization = authorization;
  request.target = RequestTarget{"/v1/locks/ci?wait=1h"};
  Response response;
  gate_->answer(request, response);
  ASSERT_TRUE(response.pending);
  EXPECT_EQ(locker_->service().status().waiters, 1U);
  response.pending.reset();  // as if there were no memory to keep it
  EXPECT_EQ(locker_->service().status().waiters, 0U);
}

/// For waiting without a connection.
class FlagWaker final : public Waker {
 public:
  void wake() override { woken_.store(true); }
  [[nodiscard]] bool wait_for_it() const {
    for (int i = 0; i < 10'000 && !woken_; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds{1});
    }
    return woken_;
  }

 private:
  std::atomic<bool> woken_ = false;
};

class WaitingWithAKey : public Attack {
 protected:
  /// Sends a request that waits, runs `meanwhile`, and returns the answer to the key.
  template <typename Meanwhile>
  Response wait_for(const std::string& target, const Meanwhile& meanwhile) {
    const std::string authorization = "Bearer " + std::string{secret_key};
    Request request;
    request.method = Method::post;
    request.authorization = authorization;
    request.target = RequestTarget{target};
    Response response;
    gate_->answer(request, response);
    EXPECT_TRUE(response.pending) << response.body;
    const std::unique_ptr<PendingAnswer> pending = std::move(response.pending);
    response = {};
    if (!pending) return response;
    FlagWaker waker;
    pending->start(waker);
    meanwhile();
    EXPECT_TRUE(waker.wait_for_it());
    pending->finish(response);
    return response;
  }
};

TEST_F(WaitingWithAKey, WhoLostARuleMeanwhileIsNotToldWhatItAllowed) {
  load_key("lock /ci read /");
  const Response told = wait_for("/v1/locks/ci?wait=1ms", [] {});
  EXPECT_EQ(told.status, 423U);
  EXPECT_NE(told.body.find(secret_owner), std::string::npos) << told.body;
  const Response hidden = wait_for("/v1/locks/ci?wait=1ms", [this] { load_key("lock /ci"); });
  EXPECT_EQ(hidden.status, 423U);
  EXPECT_EQ(hidden.body.find(secret_owner), std::string::npos) << hidden.body;
  EXPECT_NE(hidden.body.find("(hidden)"), std::string::npos) << hidden.body;
}

TEST_F(WaitingWithAKey, ThatAGrantWasTakenBackIsToldWhenThatIsOnTheDisk) {
  take("/ci", ours_, "exclusive");
  const Response response = wait_for("/v1/locks/ci?wait=1h&lock_parents=false", [this] {
    load_key("lock /elsewhere");
    Request release;
    release.method = Method::delete_;
    const std::string target = "/v1/locks/ci?token=" + ours_;
    release.target = RequestTarget{target};
    EXPECT_EQ(locker_->call(release).status, 200U);
  });
  EXPECT_EQ(response.status, 401U) << response.body;
  EXPECT_TRUE(held("/ci").empty());
  EXPECT_EQ(response.index, locker_->service().status().index);
}

TEST_F(WaitingWithAKey, OfALeaseThatHoldsMoreOnlyTheGrantIsTakenBack) {
  const std::string joined = "4a4b4c4d-1111-4111-8111-111111111111";
  take("/ci/before", joined, "exclusive");
  take("/ci/x", ours_, "exclusive");
  const Response response =
      wait_for("/v1/locks/ci/x?wait=1h&lock_parents=false&token=" + joined, [this] {
        load_key("lock /elsewhere");
        Request release;
        release.method = Method::delete_;
        const std::string target = "/v1/locks/ci/x?token=" + ours_;
        release.target = RequestTarget{target};
        EXPECT_EQ(locker_->call(release).status, 200U);
      });
  EXPECT_EQ(response.status, 401U) << response.body;
  EXPECT_TRUE(held("/ci/x").empty());
  EXPECT_EQ(held("/ci/before").size(), 1U);
  EXPECT_EQ(response.index, locker_->service().status().index);
}

TEST_F(Attack, AQuestionMarkInThePathOfACallBeginsNoParameters) {
  const std::string told = locker_->canhaz("/ci/x?lockChildren=False&id=thief", {{"id", "me"}});
  EXPECT_NE(told.find(R"("ok": true)"), std::string::npos) << told;
  const auto locks = held("/ci/x%3FlockChildren=False&id=thief");
  ASSERT_EQ(locks.size(), 1U);
  EXPECT_EQ(locks[0].owner, "me");
  EXPECT_TRUE(locks[0].shape.lock_children);
}

TEST_F(Attack, OnlySeveralLocksMayBeLargeAndOnlyMonitoringGetsPastTheConnectionLimit) {
  const auto treatment = [this](Method method, std::string_view target) {
    return gate_->treatment_of(method, RequestTarget{target});
  };
  for (const std::string_view target : {"/v1/locks", "/v1/locks?owner=a"}) {
    EXPECT_TRUE(treatment(Method::post, target).has_large_body) << target;
    EXPECT_FALSE(treatment(Method::other, target).has_large_body) << target;
    EXPECT_FALSE(treatment(Method::post, target).is_probe) << target;
  }
  for (const std::string_view target : {"/healthz", "/readyz", "/metrics", "/healthz?verbose"}) {
    EXPECT_TRUE(treatment(Method::head, target).is_probe) << target;
    EXPECT_FALSE(treatment(Method::post, target).has_large_body) << target;
  }
  for (const std::string_view target :
       {"/", "/healthz/x", "/v1/metrics", "/v1/status", "/v1/openapi.json", "/v1/locks/metrics"}) {
    EXPECT_FALSE(treatment(Method::get, target).is_probe) << target;
    EXPECT_FALSE(treatment(Method::post, target).has_large_body) << target;
  }
}

TEST_F(Attack, ALeaseThatNobodyCouldBeToldOfIsTakenBack) {
  Request request;
  request.method = Method::post;
  request.target = RequestTarget{"/v1/leases"};
  const std::size_t before = locker_->service().status().leases;
  Response response;
  locker_->handler().answer(request, response);
  EXPECT_EQ(response.status, 201U);
  EXPECT_EQ(locker_->service().status().leases, before + 1);
  ASSERT_TRUE(response.delivery);
  response.delivery.reset();
  EXPECT_EQ(locker_->service().status().leases, before);

  request.target = RequestTarget{"/v1/leases?token=33333333-3333-4333-8333-333333333333"};
  response = {};
  locker_->handler().answer(request, response);
  EXPECT_EQ(response.status, 201U);
  EXPECT_FALSE(response.delivery);  // a client that chose its token can ask again
}

TEST_F(Attack, AGrantThatNobodyBeganToWaitForIsTakenBack) {
  const std::string token = "33333333-3333-4333-8333-333333333333";
  take("/ci/waited-for", token, "exclusive");
  Request request;
  request.method = Method::post;
  request.target = RequestTarget{"/v1/locks/ci/waited-for?lock_parents=false&wait=30s"};
  Response waiting;
  locker_->handler().answer(request, waiting);
  ASSERT_TRUE(waiting.pending);
  const std::string release = "/v1/locks/ci/waited-for?token=" + token;
  request.method = Method::delete_;
  request.target = RequestTarget{release};
  ASSERT_EQ(locker_->call(request).status, 200U);
  ASSERT_EQ(held("/ci/waited-for").size(), 1U);
  waiting.pending.reset();
  EXPECT_TRUE(held("/ci/waited-for").empty());
}

TEST_F(Attack, AKeyForOnePlaceReachesNoOther) {
  constexpr Method methods[] = {Method::get,  Method::get,     Method::post, Method::post,
                                Method::post, Method::delete_, Method::lock, Method::unlock,
                                Method::head, Method::other};
  unsigned hidden = 0;
  const std::string authorization = "Bearer " + std::string{secret_key};
  for (unsigned round = 0; round < 200'000; ++round) {
    Request request;
    request.method = methods[random_() % std::size(methods)];
    request.method_name = "X";
    request.authorization = authorization;
    request.content_type = "application/json";
    const std::string target = std::string{any_of(starts)} + any_path() + any_query();
    const bool takes_body = request.method != Method::get && request.method != Method::head &&
                            request.method != Method::delete_;
    const std::string body = takes_body && one_in(2) ? any_body() : "";
    const std::string lock_token = one_in(5) ? any_token() : "";
    request.target = RequestTarget{target};
    request.body = body;
    if (!lock_token.empty()) request.lock_token = lock_token;
    const std::string what =
        std::to_string(static_cast<int>(request.method)) + " " + target + " " + body;

    const std::string told = send(request);
    if (told.find("(hidden)") != std::string::npos) ++hidden;
    ASSERT_EQ(told.find(secret_owner), std::string::npos) << what << "\n" << told;
    ASSERT_EQ(told.find(secret_meta), std::string::npos) << what << "\n" << told;
    std::size_t elsewhere = 0;
    for (const core::LockInfo& info : held("/")) {
      const core::PathView path{info.packed_path};
      const bool is_ours = path.packed() == "\2ci" || path.packed().starts_with("\2ci");
      if (!is_ours) ++elsewhere;
    }
    ASSERT_EQ(elsewhere, 2U) << what;
    const auto prod = held("/prod/db");
    ASSERT_EQ(prod.size(), 1U) << what;
    ASSERT_EQ(prod[0].fence, prod_[0].fence) << what;
    ASSERT_EQ(prod[0].expires, prod_[0].expires) << what;  // nor renewed
  }
  // Otherwise this would prove nothing: many were executed, many refused, much was hidden.
  EXPECT_GT(statuses_[2], 2'000U);
  EXPECT_GT(statuses_[4], 5'000U);
  EXPECT_GT(hidden, 500U);
}

}  // namespace
}  // namespace locker::server
