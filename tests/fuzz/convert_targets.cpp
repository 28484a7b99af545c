// Seeds and words of the conversions' targets.
#include "tests/fuzz/targets.hpp"

namespace balancer::fuzz {
namespace {

std::vector<std::string> with_words(std::vector<std::string> more) {
    std::vector<std::string> words = {
        "1",
        "-0.5",
        "\\n",
        "\\\"",
        "\\ud83d",
        "\\u0041",
        "{}",
        "[]",
        "\"\"",
        R"("type":"text",)",
        R"("text":"x",)",
        R"("content":[],)",
        R"("content":"c",)",
        R"("role":"user",)",
        R"("role":"assistant",)",
        R"("id":"call_12345678",)",
        R"("name":"n",)",
        R"("input":{},)",
        R"("arguments":"{}",)"};
    words.insert(words.end(), more.begin(), more.end());
    return with_json_words(std::move(words));
}

}  // namespace

Target convert_requests_target() {
    return {
        "convert_requests",
        convert_requests,
        {
            R"({"model":"m","system":[{"type":"text","text":"x-anthropic-billing-header: v"},{"type":"text","text":"s","cache_control":{"type":"ephemeral"}}],"messages":[{"role":"user","content":"hi"},{"role":"system","content":[]},{"role":"assistant","content":[{"type":"thinking","thinking":"t","signature":"balancer-converted-reasoning"},{"type":"text","text":"a"},{"type":"tool_use","id":"t1","name":"n","input":{"a":[1.50]}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"t1","is_error":true,"content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"QQ=="}}]},{"type":"document","title":"d","source":{"type":"text","data":"x"}}]}],"thinking":{"type":"enabled","budget_tokens":9},"context_management":{"edits":[]}})",
            R"({"max_tokens":9,"temperature":1,"top_p":0.5,"top_k":3,"stop_sequences":["a"],"metadata":{"user_id":"u"},"tools":[{"name":"n","input_schema":{"a":{"b":[]}},"defer_loading":true},{"type":"web_search_20250305","name":"w"}],"tool_choice":{"type":"tool","name":"n","disable_parallel_tool_use":true},"output_config":{"effort":"high","format":{"schema":{}}},"messages":[{"role":"user","content":[{"type":"tool_reference","tool_name":"n"}]}],"new":1})",
            R"({"messages":[{"role":"system","content":"s"},{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image\/png;base64,QQ=="}},{"type":"file","file":{"file_data":"data:a;base64,Q"}}]},{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"n","arguments":"{\"a\":1}"}}]},{"role":"tool","tool_call_id":"c","content":"r"}],"tools":[{"type":"function","function":{"name":"n","parameters":{}}}],"tool_choice":"required","parallel_tool_calls":false,"stop":["s"],"n":1,"user":"u","response_format":{"type":"json_schema","json_schema":{"schema":{}}},"stream_options":{"include_usage":true}})",
        },
        with_words(
            {R"({"role":"user","content":"x"},)",
             R"({"role":"assistant","content":[{"type":"redacted_thinking","data":"d"}]},)",
             R"({"type":"tool_result","tool_use_id":"t1"},)",
             R"({"type":"tool_use","id":"t2","name":"m"},)",
             R"({"type":"thinking","signature":"balancer-converted-reasoning"},)",
             R"({"role":"tool","tool_call_id":"c"},)"}
        ),
    };
}

Target convert_answers_target() {
    return {
        "convert_answers",
        convert_answers,
        {
            R"({"id":"c","choices":[{"index":0,"message":{"role":"assistant","content":"hi","reasoning_content":"r","refusal":null,"tool_calls":[{"id":"call_12345678","function":{"name":"n","arguments":"{\"a\":1}"}},{"id":"x","function":{"name":"m","arguments":"[1"}}]},"finish_reason":"stop","stop_reason":"s"}],"usage":{"prompt_tokens":5,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":9}}})",
            R"({"id":"msg","type":"message","role":"assistant","content":[{"type":"thinking","thinking":"t","signature":"s"},{"type":"text","text":"x","citations":[{"a":1}]},{"type":"tool_use","id":"t","name":"n","input":{"a": [1,
2]}},{"type":"new","z":{}}],"stop_reason":"end_turn","usage":{"input_tokens":3,"output_tokens":4}})",
            R"({"error":{"message":"This model's maximum context length is 8192 tokens. However, you requested 10000 tokens (7000 in the messages, 3000 in the completion).","type":"invalid_request_error","code":"context_length_exceeded"}})",
            R"({"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}})",
            // As servers send them: Gemini, OpenRouter twice, Mistral, vLLM.
            R"([{"error":{"code":400,"message":"The input token count (134123) exceeds the maximum number of tokens allowed (131072).","status":"INVALID_ARGUMENT"}}])",
            R"({"error":{"message":"Provider returned error","code":400,"metadata":{"raw":"{\"error\":{\"message\":\"m\",\"code\":\"context_length_exceeded\"}}","provider_name":"P"}},"user_id":"user_1"})",
            R"({"id":"gen-1","provider":"P","model":"m","object":"chat.completion","created":1,"choices":[{"logprobs":null,"finish_reason":"error","native_finish_reason":"error","index":0,"message":{"role":"assistant","content":"half","refusal":null,"reasoning":null},"error":{"code":502,"message":"m","metadata":{"raw":"r"}}}]})",
            R"({"id":"c","object":"chat.completion","model":"magistral","choices":[{"index":0,"finish_reason":"model_length","message":{"role":"assistant","tool_calls":null,"content":[{"type":"thinking","thinking":[{"type":"text","text":"be"}],"closed":true},{"type":"text","text":"y"}]}}],"usage":{"prompt_tokens":1,"total_tokens":2,"completion_tokens":1}})",
            R"({"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":null,"refusal":null,"annotations":null,"audio":null,"function_call":null,"tool_calls":[{"id":"chatcmpl-tool-1","type":"function","function":{"name":"n","arguments":"{\"a\": 1}"}},{"id":"chatcmpl-tool-1","type":"function","function":{"name":"n","arguments":"{}"}}],"reasoning_content":"r"},"logprobs":null,"finish_reason":"tool_calls","stop_reason":null}],"service_tier":null,"system_fingerprint":null,"usage":{"prompt_tokens":9,"total_tokens":12,"completion_tokens":3,"prompt_tokens_details":null},"prompt_logprobs":null,"kv_transfer_params":null})",
        },
        with_words(
            {R"("error":)",
             R"("code":529,)",
             R"("finish_reason":"length",)",
             R"("refusal":"r",)",
             "maximum context length is "}
        ),
    };
}

Target convert_streams_target() {
    return {
        "convert_streams",
        convert_streams,
        {
            "data: "
            "{\"choices\":[{\"delta\":{\"role\":\"assistant\",\"reasoning_content\":\"r\"}}]}\n\n"
            "data: {\"choices\":[{\"delta\":{\"content\":\"\xc3\xa9\"}}]}\r\n\r\n"
            "data: "
            "{\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"call_12345678\","
            "\"function\":{\"name\":\"n\",\"arguments\":\"{\\\"a\\\":\"}},{\"index\":1,\"id\":"
            "\"b\",\"function\":{\"arguments\":\"{}\"}}]}}]}\n\n"
            "data: "
            "{\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":"
            "\"1}\"}},{\"index\":1,\"function\":{\"name\":\"m\"}}]},\"finish_reason\":\"tool_"
            "calls\"}]}\n\n"
            "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3}}\n\ndata: [DONE]\n\n",
            // As servers send them: vLLM, OpenRouter, MiniMax.
            R"(data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"","reasoning_content":null},"logprobs":null,"finish_reason":null}],"prompt_token_ids":null})"
            "\n\n"
            R"(data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"x"},"logprobs":null,"finish_reason":"stop","stop_reason":"END","token_ids":null}]})"
            "\n\n"
            R"(data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[],"usage":{"prompt_tokens":9,"total_tokens":10,"completion_tokens":1}})"
            "\n\ndata: [DONE]\n\n",
            ": OPENROUTER PROCESSING\n\n"
            R"(data: {"id":"gen-1","provider":"P","model":"m","object":"chat.completion.chunk","created":1,"choices":[{"index":0,"delta":{"role":"assistant","content":"","reasoning":"r","reasoning_details":[{"type":"reasoning.text","text":"r","index":0}]},"finish_reason":null,"native_finish_reason":null,"logprobs":null}]})"
            "\n\n"
            R"(data: {"id":"gen-1","provider":"P","model":"m","object":"chat.completion.chunk","created":1,"error":{"code":502,"message":"m"},"choices":[{"index":0,"delta":{"content":""},"finish_reason":"error"}]})"
            "\n\n",
            R"(data: {"id":"1","choices":[{"index":0,"delta":{"content":"Hi","role":"assistant","name":"MM","audio_content":""}}],"created":1,"model":"m","object":"chat.completion.chunk","usage":null,"input_sensitive":false,"base_resp":{"status_code":0,"status_msg":""}})"
            "\n\n"
            R"(data: {"id":"1","choices":[{"finish_reason":"stop","index":0,"message":{"content":"Hi","role":"assistant","name":"MM","audio_content":""}}],"created":1,"model":"m","object":"chat.completion","usage":{"total_tokens":3,"prompt_tokens":2,"completion_tokens":1},"base_resp":{"status_code":0,"status_msg":""}})"
            "\n\n",
            "event: message_start\ndata: "
            "{\"type\":\"message_start\",\"message\":{\"type\":\"message\",\"content\":[],"
            "\"usage\":{\"input_tokens\":3}}}\n\n"
            "event: content_block_start\ndata: "
            "{\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"tool_"
            "use\",\"id\":\"t\",\"name\":\"n\",\"input\":{}}}\n\n"
            "event: content_block_delta\ndata: "
            "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"input_json_"
            "delta\",\"partial_json\":\"{}\"}}\n\n"
            "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n"
            "event: message_delta\ndata: "
            "{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\"},\"usage\":{"
            "\"output_tokens\":4}}\n\n"
            "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
        },
        with_words(
            {"\n\n",
             "\r\n\r\n",
             "data: ",
             "event: error\n",
             "data: [DONE]\n\n",
             "data: {\"error\":{\"message\":\"m\"}}\n\n",
             "data: "
             "{\"choices\":[{\"delta\":{\"content\":\"x\"},\"finish_reason\":\"length\"}]}\n\n",
             "data: "
             "{\"choices\":[{\"delta\":{\"tool_calls\":[{\"function\":{\"name\":\"q\","
             "\"arguments\":\"{\"}}]}}]}\n\n",
             "data: "
             "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\","
             "\"text\":\"x\"}}\n\n",
             "\"index\":1,",
             "\"finish_reason\":\"stop\","}
        ),
    };
}

}  // namespace balancer::fuzz
