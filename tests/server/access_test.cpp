#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "core/url_path.hpp"
#include "server/access/audit_line.hpp"
#include "server/access/credentials.hpp"
#include "server/access/key_file.hpp"
#include "server/access/line_budget.hpp"
#include "server/gate/required_access.hpp"

namespace locker::server {
namespace {

const std::string digest_a = "sha256:" + std::string(64, 'a');
const std::string digest_b = "sha256:" + std::string(64, 'B');

std::string fault_of(const std::string& text) {
  const auto parsed = parse_key_file(text, "keys");
  return parsed.has_error() ? parsed.error().message : "";
}

TEST(KeyFile, HasAKeyOnEachLine) {
  const auto parsed =
      parse_key_file("# ours\n\n  \t# indented\nci " + digest_a +
                         " lock /ci read /a%2Fb\n\troot\t" + digest_b + "  admin /  ",
                     "keys");
  ASSERT_TRUE(parsed.has_value()) << parsed.error().message;
  ASSERT_EQ(parsed->size(), 2U);
  const AccessKey& ci = (*parsed)[0];
  EXPECT_EQ(ci.name, "ci");
  EXPECT_EQ(ci.digest[0], 0xaaU);
  ASSERT_EQ(ci.rules.size(), 2U);
  EXPECT_EQ(ci.rules[1].packed_path, "\3a/b");
  EXPECT_EQ((*parsed)[1].name, "root");
  EXPECT_EQ((*parsed)[1].digest[31], 0xbbU);
  EXPECT_TRUE((*parsed)[1].may(core::Right::admin, {}));
}

TEST(KeyFile, MayBeEmpty) {
  EXPECT_EQ(fault_of(""), "");
  EXPECT_EQ(fault_of("# nobody"), "");
}

TEST(KeyFile, ThatTheDiskDoesNotGiveIsAFaultAsOthersAre) {
  const auto read = read_key_file("/proc/self/mem");  // can be opened, but reading is an EIO
  ASSERT_TRUE(read.has_error());
  EXPECT_TRUE(read.error().message.starts_with("The key file /proc/self/mem cannot be read"));
}

TEST(KeyFile, NamesTheLineOfAMistake) {
  const std::string good = "ci " + digest_a + " lock /ci\n";
  EXPECT_EQ(fault_of(good), "");
  EXPECT_TRUE(
      fault_of("\n" + good + good).starts_with("keys:3: line 2 already has a key with this name"));
  EXPECT_TRUE(fault_of(good + "b " + digest_a + " lock /b")
                  .starts_with("keys:2: line 1 already has the s"));
  for (const std::string& line :
       {std::string{"b"}, "b " + digest_b, "b " + digest_b + " lock", digest_b + " b lock /b",
        "b " + digest_b + " lock /b read", "b " + digest_b + " lock /b /c",
        "b " + digest_b + " lock /b # why", "b " + digest_b + "0 lock /b",
        "b " + digest_b.substr(7) + " lock /b", "b " + digest_b + " lock /b\r",
        "b " + digest_b + " lock /b" + std::string(1, '\0'), "b " + digest_b + " lock /é",
        "b " + digest_b + " lock /%FF", "b " + digest_b + " lock /%zz",
        "b " + digest_b + " lock /a/.."}) {
    const std::string fault = fault_of(good + line + "\n");
    EXPECT_TRUE(fault.starts_with("keys:2: ")) << line;
    EXPECT_TRUE(fault.ends_with('.') && !fault.ends_with("..")) << fault;
  }
}

TEST(Credentials, AreABearersTokenOrBasicsPassword) {
  EXPECT_EQ(read_credentials("Bearer abc"), "abc");
  EXPECT_EQ(read_credentials("BEARER   abc"), "abc");
  EXPECT_EQ(read_credentials("Basic dXNlcjpwYXNz"), "pass");    // user:pass
  EXPECT_EQ(read_credentials("basic OnA6cQ=="), "p:q");         // :p:q
  EXPECT_EQ(read_credentials("Basic dXNlcjo="), "");            // user:
  EXPECT_EQ(read_credentials("Basic dXNlcg=="), std::nullopt);  // user
  EXPECT_EQ(read_credentials("Basic d*Nl"), std::nullopt);
  EXPECT_EQ(read_credentials("Basic"), std::nullopt);
  EXPECT_EQ(read_credentials("Bearerabc"), std::nullopt);
  EXPECT_EQ(read_credentials("abc"), std::nullopt);
  EXPECT_EQ(read_credentials(""), std::nullopt);
}

RequiredAccess required(Method method, std::string_view target, std::string_view body = {}) {
  Request request;
  request.method = method;
  request.target = RequestTarget{target};
  request.body = body;
  request.content_type = "application/json";
  return required_access(request);
}

std::string text_of(const RequiredAccess& access) {
  if (access.fault) return "fault";
  if (access.who == RequiredAccess::Who::anybody) return "anybody";
  if (access.who == RequiredAccess::Who::admin_only) return "admin only";
  std::string text;
  for (const auto& [right, packed_path] : access.at) {
    text += std::string{core::name_of(right)} + " ";
    core::append_url_path(core::PathView{packed_path}, text);
    text += ' ';
  }
  if (access.somewhere) text += std::string{core::name_of(*access.somewhere)} + " somewhere ";
  if (access.lease) text += "of lease ";
  return text;
}

TEST(LineBudget, IsSpentAndComesBackWithTheNextSecond) {
  using std::chrono::milliseconds;
  LineBudget budget{2};
  const LineBudget::Clock::time_point began{std::chrono::hours{1}};
  EXPECT_TRUE(budget.spend(began).is_allowed);
  EXPECT_TRUE(budget.spend(began + milliseconds{999}).is_allowed);
  EXPECT_FALSE(budget.spend(began + milliseconds{999}).is_allowed);
  EXPECT_FALSE(budget.spend(began + milliseconds{999}).is_allowed);
  const auto next = budget.spend(began + milliseconds{1000});
  EXPECT_TRUE(next.is_allowed);
  EXPECT_EQ(next.left_out, 2U);
  EXPECT_EQ(budget.spend(began + milliseconds{1001}).left_out, 0U);
  EXPECT_FALSE(budget.spend(began + milliseconds{1002}).is_allowed);
}

TEST(AuditLine, OfARefusalIsNeverLong) {
  std::string url_path;
  for (int level = 0; level < 7; ++level) url_path += "/" + std::string(255, level < 1 ? '"' : 'a');
  core::Path path;
  ASSERT_FALSE(core::parse_url_path(url_path, path));
  AuditedRequest request;
  request.action = "acquire";
  request.packed_paths.assign(256, std::string{path.view().packed()});
  AuditNote note;
  for (const AuditOutcome outcome : {AuditOutcome::refused_401, AuditOutcome::refused_403}) {
    note.outcome = outcome;
    const std::string line = audit_line(request, note);
    EXPECT_LT(line.size(), 2'048U);
    EXPECT_NE(line.find(R"(%22…", )"), std::string::npos) << line;
    EXPECT_TRUE(line.ends_with(R"("count": 256)")) << line;
  }
  note.outcome = AuditOutcome::granted;  // by a client with a key: everything is written
  EXPECT_GT(audit_line(request, note).size(), std::size_t{256} * 7 * 255);

  request.packed_paths.clear();
  request.target = "/" + std::string(8'000, '"');
  note.outcome = AuditOutcome::refused_401;
  EXPECT_LT(audit_line(request, note).size(), 2'048U);
}

TEST(RequiredAccess, OfEveryCall) {
  const std::string token = "token=cb7edb5c-6b7c-4b60-9d4c-0123456789ab";
  using enum Method;
  const struct {
    Method method;
    std::string target;
    std::string expected;
  } rows[] = {
      {get, "/healthz", "anybody"},
      {get, "/readyz?x", "anybody"},
      {get, "/v1/openapi.json", "anybody"},
      {get, "/ui/app.js", "anybody"},
      {get, "/", "anybody"},
      {post, "/ui/app.js", "admin only"},
      {post, "/", "admin only"},
      {get, "/uix", "admin only"},
      {get, "/dohaz/a", "read /a "},
      {get, "/canhaz/a?id=x", "lock /a "},
      {post, "/canhaz", "lock / "},
      {get, "/nowant/a//b", "lock /a/b "},
      {get, "/canhaz/a/..", "fault"},
      {get, "/canhazx/a", "admin only"},
      {get, "/v1/status", "read somewhere "},
      {get, "/v1/locks", "read / "},
      {head, "/v1/locks?prefix=/a", "read /a "},
      {get, "/v1/locks?prefix=%2Fa%2Fb", "read /a/b "},
      {delete_, "/v1/locks?force=true", "force / "},
      {delete_, "/v1/locks?prefix=/a&force=true", "force /a "},
      {other, "/v1/locks", ""},
      {get, "/v1/locks/", "read / "},
      {get, "/v1/locks/a", "read /a "},
      {post, "/v1/locks/a", "lock /a "},
      {post, "/v1/locks/a?" + token, "lock /a of lease "},
      {delete_, "/v1/locks/a?" + token, "lock /a "},
      {delete_, "/v1/locks/a?force=true", "force /a "},
      {delete_, "/v1/locks/a?force=maybe", "fault"},
      {get, "/v1/leases?" + token, "read somewhere of lease "},
      {post, "/v1/leases", "lock somewhere "},
      {delete_, "/v1/leases?" + token, "lock somewhere of lease "},
      {post, "/v1/leases/renew?" + token, "lock somewhere of lease "},
      {post, "/v1/leases/renew?token=x", "fault"},
      {get, "/v1/events", "read / "},
      {get, "/v1/events?prefix=/a", "read /a "},
      {unlock, "/terraform/a", "force /a "},
      {get, "/terraform/a", ""},
      {get, "/metrics", "read / "},
      {get, "/v1/new", "admin only"},
      {get, "/v2/locks", "admin only"},
      {get, "//v1/locks", "admin only"},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(text_of(required(row.method, row.target)), row.expected) << row.target;
  }
}

TEST(RequiredAccess, OfWhatTheBodyNames) {
  const std::string token = R"("token": "cb7edb5c-6b7c-4b60-9d4c-0123456789ab")";
  using enum Method;
  EXPECT_EQ(text_of(required(post, "/v1/locks/a", "{" + token + "}")), "lock /a of lease ");
  EXPECT_EQ(text_of(required(post, "/v1/locks", R"({"locks": [{"path": "/a"}, {"path": "/b"}]})")),
            "lock /a lock /b ");
  EXPECT_EQ(text_of(required(post, "/v1/locks", R"({"locks": [{"path": "/a"}], )" + token + "}")),
            "lock /a of lease ");
  EXPECT_EQ(text_of(required(lock, "/terraform/a", R"({"ID": "any text"})")), "lock /a of lease ");
  EXPECT_EQ(text_of(required(unlock, "/terraform/a", R"({"ID": "any text"})")), "lock /a ");
  for (const std::string_view body :
       {"", "{}", "[]", "{", R"({"locks": []})", R"({"locks": ["/a"]})", R"({"locks": [{}]})",
        R"({"locks": [{"path": "a"}]})", R"({"locks": [{"path": 1}]})",
        R"({"locks": [{"path": "/a/.."}]})", R"({"locks": [{"path": "/a", "path": "/b"}]})",
        R"({"locks": [{"path": "/a", "mode": "x"}]})", R"({"locks": [{"path": "/a", "mode": 1}]})",
        R"({"locks": [{"path": "/a"}, {"path": "/a"}]})",
        R"({"locks": [{"path": "/a"}], "any": 2})"}) {
    EXPECT_EQ(text_of(required(post, "/v1/locks", body)), "fault") << body;
    EXPECT_EQ(text_of(required(lock, "/terraform/a", body)), "fault") << body;
  }
}

}  // namespace
}  // namespace locker::server
