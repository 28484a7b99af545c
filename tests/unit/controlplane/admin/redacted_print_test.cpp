#include "controlplane/service/redacted_print.hpp"

#include <google/protobuf/descriptor.h>
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <regex>
#include <string>

#include "balancer/v1/admin.pb.h"
#include "balancer/v1/annotations.pb.h"
#include "balancer/v1/data_plane.pb.h"

namespace balancer {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::FileDescriptor;

// Fields that sound secret and are not, each with its reason.
const std::map<std::string, std::string> kNotSecret = {
    {"balancer.v1.ManageRequest.client_key_name", "the name under which a client key is configured"
    },
    {"balancer.v1.RequestRecord.client_key", "the name under which a client key is configured"},
    {"balancer.v1.Testing.delay_trigger_keywords", "words that a test request contains"},
};

bool sounds_secret(const std::string& name) {
    static const std::regex kPattern("token|secret|password|auth_value|header_value|_key|api_key");
    return std::regex_search(name, kPattern);
}

void check_message(const Descriptor& type, int& fields) {
    for (int i = 0; i < type.field_count(); ++i) {
        const FieldDescriptor& field = *type.field(i);
        ++fields;
        bool sensitive = field.options().GetExtension(v1::sensitive);
        if (sensitive) {
            EXPECT_EQ(field.cpp_type(), FieldDescriptor::CPPTYPE_STRING)
                << field.full_name() << ": only strings and bytes can be masked";
        }
        if (field.cpp_type() != FieldDescriptor::CPPTYPE_STRING || !sounds_secret(field.name())) {
            continue;
        }
        EXPECT_TRUE(sensitive || kNotSecret.contains(field.full_name()))
            << field.full_name()
            << " sounds like a secret: give it [(sensitive) = true], or say here "
            << "why it is none";
    }
    for (int i = 0; i < type.nested_type_count(); ++i) check_message(*type.nested_type(i), fields);
}

TEST(Redaction, EveryFieldThatSoundsSecretIsMarked) {
    int fields = 0;
    for (const FileDescriptor* file :
         {v1::ConfigSection::descriptor()->file(),
          v1::Hello::descriptor()->file(),
          v1::GetStatusResponse::descriptor()->file()}) {
        for (int i = 0; i < file->message_type_count(); ++i) {
            check_message(*file->message_type(i), fields);
        }
    }
    EXPECT_GT(fields, 200) << "the walk saw too little to mean anything";
}

TEST(Redaction, KnownSecretsAreMarked) {
    auto marked = [](const Descriptor* type, const char* field) {
        return type->FindFieldByName(field)->options().GetExtension(v1::sensitive);
    };
    EXPECT_TRUE(marked(v1::Credential::descriptor(), "header_value"));
    EXPECT_TRUE(marked(v1::Provider::descriptor(), "proxy_url"));
    EXPECT_TRUE(marked(v1::Header::descriptor(), "value"));
    EXPECT_TRUE(marked(v1::Section::descriptor(), "payload"));
    EXPECT_TRUE(marked(v1::ValidateConfigRequest::descriptor(), "yaml"));
}

v1::ShowConfigResponse secretive() {
    v1::ShowConfigResponse response;
    v1::Provider& provider = *response.mutable_config()->add_providers();
    provider.set_name("alpha");
    provider.set_proxy_url("http://joe:canary@proxy");
    v1::Header& header = *provider.add_headers();
    header.set_name("x-extra");
    header.set_value("canary");
    response.mutable_config()->add_providers()->set_name("beta");
    return response;
}

TEST(Redaction, MasksAtAnyDepthAndLeavesTheRest) {
    v1::ShowConfigResponse response = secretive();
    mask_secrets(response);
    EXPECT_EQ(response.SerializeAsString().find("canary"), std::string::npos);
    EXPECT_EQ(response.config().providers(0).proxy_url(), kMasked);
    EXPECT_EQ(response.config().providers(0).headers(0).value(), kMasked);
    EXPECT_EQ(response.config().providers(0).headers(0).name(), "x-extra");
    EXPECT_EQ(response.config().providers(1).proxy_url(), "") << "none stays none";
}

TEST(Redaction, MasksMessagesInsideAOneof) {
    v1::SyncResponse response;
    response.mutable_update()->add_sections()->set_payload("canary");
    mask_secrets(response);
    EXPECT_EQ(response.update().sections(0).payload(), kMasked);
}

TEST(Redaction, JsonIsMaskedOfItself) {
    std::string json = to_json(secretive()).dump();
    EXPECT_EQ(json.find("canary"), std::string::npos);
    EXPECT_NE(json.find(kMasked), std::string::npos);
}

TEST(Redaction, JsonHasEveryFieldAndNumbersAsNumbers) {
    v1::ProviderView view;
    view.mutable_totals()->set_attempts(9'007'199'254'740'993ULL);
    (*view.mutable_totals()->mutable_failures())[4] = 2;
    view.mutable_provider()->set_type(v1::PROVIDER_TYPE_OPENAI);
    nlohmann::ordered_json json = to_json(view);
    EXPECT_EQ(json["totals"]["attempts"], 9'007'199'254'740'993ULL);
    EXPECT_EQ(json["totals"]["failures"]["4"], 2);
    EXPECT_EQ(json["provider"]["type"], "PROVIDER_TYPE_OPENAI");
    EXPECT_TRUE(json["health"].is_null());
    EXPECT_TRUE(json["routes"].is_array());
    EXPECT_EQ(json["enabled_in_file"], false);
}

TEST(Redaction, JsonShowsBytesAsHex) {
    v1::ClientKey key;
    key.set_sha256(std::string("\x00\xff", 2));
    EXPECT_EQ(to_json(key)["sha256"], "00ff");
}

}  // namespace
}  // namespace balancer
