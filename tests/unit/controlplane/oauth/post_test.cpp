// What the control plane and the process that posts for it tell each other.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>

#include <fstream>

#include "base/aead.hpp"
#include "base/file.hpp"
#include "controlplane/oauth/post_folder.hpp"
#include "controlplane/oauth/post_order.hpp"
#include "tests/unit/controlplane/admin/temp_dir.hpp"

namespace balancer::controlplane {
namespace {

PostOrder sample() {
    PostOrder order;
    order.account = "joe";
    order.attempt = "0123456789abcdef";
    order.answer_key = random_key();
    order.folder = "/var/lib/balancer/refresh";
    order.request.tls = false;
    order.request.host = "console.example.com";
    order.request.port = 8443;
    order.request.method = "POST";
    order.request.target = "/v1/oauth/token";
    order.request.headers = {{"host", "console.example.com"}, {"accept", "application/json"}};
    order.request.body = R"({"refresh_token":"R"})";
    order.request.ca_pem = std::string(100'000, 'c');
    order.request.timeout = Milliseconds(1234);
    order.request.answer_bytes_max = 4321;
    order.request.proxy = ProxySpec{ProxyKind::kSocks5, "proxy", 1080, "user", "password"};
    return order;
}

RefreshClaim claim_of(const PostOrder& order) {
    return {order.attempt, 0, order.answer_key.copy()};
}

PostAnswer well() {
    HttpResponse response;
    response.status = 200;
    response.headers = {{"retry-after", "5"}};
    response.body = R"({"access_token":"A"})";
    return {true, response};
}

TEST(PostOrder, ArrivesAsItWasGiven) {
    PostOrder order = sample();
    Result<PostOrder> read = read_post_order(to_bytes(order));
    ASSERT_TRUE(read);
    EXPECT_EQ(read->account, order.account);
    EXPECT_EQ(read->attempt, order.attempt);
    EXPECT_TRUE(read->answer_key == order.answer_key);
    EXPECT_EQ(read->folder, order.folder);
    EXPECT_EQ(read->request.tls, false);
    EXPECT_EQ(read->request.host, order.request.host);
    EXPECT_EQ(read->request.port, 8443);
    EXPECT_EQ(read->request.method, "POST");
    EXPECT_EQ(read->request.target, order.request.target);
    EXPECT_EQ(read->request.headers, order.request.headers);
    EXPECT_EQ(read->request.body, order.request.body);
    EXPECT_EQ(read->request.ca_pem, order.request.ca_pem);
    EXPECT_EQ(read->request.timeout, Milliseconds(1234));
    EXPECT_EQ(read->request.answer_bytes_max, 4321U);
    ASSERT_TRUE(read->request.proxy);
    EXPECT_EQ(read->request.proxy->kind, ProxyKind::kSocks5);
    EXPECT_EQ(read->request.proxy->host, "proxy");
    EXPECT_EQ(read->request.proxy->port, 1080);
    EXPECT_EQ(read->request.proxy->user, "user");
    EXPECT_EQ(read->request.proxy->password, "password");
    order.request.proxy.reset();
    EXPECT_FALSE(read_post_order(to_bytes(order))->request.proxy);
}

// A control plane that is killed half way through it has ordered nothing.
TEST(PostOrder, AnyPartOfOneIsNone) {
    PostOrder order = sample();
    order.request.ca_pem.clear();
    std::string bytes = to_bytes(order);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        EXPECT_FALSE(read_post_order(std::string_view(bytes).substr(0, size))) << size;
    }
    EXPECT_FALSE(read_post_order(bytes + "x"));
}

TEST(PostAnswer, IsOpenedByItsClaim) {
    PostOrder order = sample();
    std::optional<PostAnswer> read = open_answer("joe", claim_of(order), seal_answer(order, well()));
    ASSERT_TRUE(read);
    EXPECT_TRUE(read->sent);
    ASSERT_TRUE(read->response);
    EXPECT_EQ(read->response->status, 200U);
    EXPECT_EQ(read->response->header("Retry-After"), "5");
    EXPECT_EQ(read->response->body, R"({"access_token":"A"})");
    read = open_answer("joe", claim_of(order), seal_answer(order, {false, invalid("connection refused")}));
    ASSERT_TRUE(read);
    EXPECT_FALSE(read->sent);
    ASSERT_FALSE(read->response);
    EXPECT_EQ(read->response.error().text(), "connection refused");
}

TEST(PostAnswer, IsOpenedByNothingElse) {
    PostOrder order = sample();
    std::string sealed = seal_answer(order, well());
    EXPECT_EQ(sealed.find("access_token"), std::string::npos);
    EXPECT_FALSE(open_answer("ann", claim_of(order), sealed));
    RefreshClaim other = claim_of(order);
    other.attempt = "another";
    EXPECT_FALSE(open_answer("joe", other, sealed));
    other = claim_of(order);
    other.answer_key = random_key();
    EXPECT_FALSE(open_answer("joe", other, sealed));
    other.answer_key = SecretBytes();
    EXPECT_FALSE(open_answer("joe", other, sealed));
    for (std::size_t i = 0; i < sealed.size() * 8; ++i) {
        std::string changed = sealed;
        changed[i / 8] = static_cast<char>(changed[i / 8] ^ (1 << (i % 8)));
        EXPECT_FALSE(open_answer("joe", claim_of(order), changed)) << i;
    }
    for (std::size_t size = 0; size < sealed.size(); ++size) {
        EXPECT_FALSE(open_answer("joe", claim_of(order), std::string_view(sealed).substr(0, size))) << size;
    }
}

class PostFolderTest : public testing::Test {
  protected:
    test::TempDir dir_;
    PostFolder folder_{dir_.path() / "refresh"};
};

TEST_F(PostFolderTest, TellsWhereAnAttemptIs) {
    EXPECT_EQ(folder_.look("a"), PostState::kUnknown) << "not even the folder is there";
    Result<OpenFile> lock = folder_.begin("a");
    ASSERT_TRUE(lock) << lock.error().text();
    EXPECT_EQ(folder_.look("a"), PostState::kAtWork);
    lock->close();
    EXPECT_EQ(folder_.look("a"), PostState::kNotPosted);
    lock = folder_.begin("b");
    ASSERT_TRUE(PostFolder::mark_posted(lock->fd()));
    EXPECT_EQ(folder_.look("b"), PostState::kAtWork);
    ASSERT_TRUE(PostFolder::keep_answer(folder_.path(), "b", "sealed"));
    EXPECT_EQ(folder_.look("b"), PostState::kAtWork) << "as long as its process is there";
    lock->close();
    EXPECT_EQ(folder_.look("b"), PostState::kAnswered);
    EXPECT_EQ(*folder_.answer("b"), "sealed");
    lock = folder_.begin("c");
    ASSERT_TRUE(PostFolder::mark_posted(lock->fd()));
    lock->close();
    EXPECT_EQ(folder_.look("c"), PostState::kUnknown);
}

TEST_F(PostFolderTest, AnAttemptBeginsOnce) {
    ASSERT_TRUE(folder_.begin("a"));
    EXPECT_FALSE(folder_.begin("a"));
}

TEST_F(PostFolderTest, KeepsWhatIsWantedAndNothingElse) {
    for (const char* attempt : {"a", "b"}) {
        ASSERT_TRUE(folder_.begin(attempt));
        ASSERT_TRUE(PostFolder::keep_answer(folder_.path(), attempt, "sealed"));
    }
    // Of a process that was killed while it wrote.
    std::ofstream(folder_.path() / "b.12345678.tmp") << "half";
    folder_.keep_only({"a"});
    EXPECT_EQ(folder_.look("a"), PostState::kAnswered);
    EXPECT_FALSE(std::filesystem::exists(folder_.path() / "b"));
    EXPECT_FALSE(std::filesystem::exists(folder_.path() / "b.lock"));
    EXPECT_FALSE(std::filesystem::exists(folder_.path() / "b.12345678.tmp"));
    EXPECT_TRUE(std::filesystem::exists(folder_.path() / "a.lock"));
}

}  // namespace
}  // namespace balancer::controlplane
