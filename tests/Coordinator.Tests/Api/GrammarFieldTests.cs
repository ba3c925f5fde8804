using LlamaCluster.Text.Grammars;

namespace LlamaCluster.Coordinator.Tests.Api;

/// <summary>The fields with which clients ask for the form of an answer.</summary>
public sealed class GrammarFieldTests : IAsyncLifetime
{
    ApiHost _api = null!;

    public async Task InitializeAsync() => _api = await ApiHost.StartAsync();

    public async Task DisposeAsync() => await _api.DisposeAsync();

    [Fact]
    public async Task Names_that_are_no_keywords_are_reported_or_refused_where_fields_are()
    {
        const string more = """{"guided_json":{"type":"object","requred":["a"],"properties":{"a":{"format":"ba d"}}},"verbosity":"low"}""";
        using var response = await _api.PostAsync("/v1/chat/completions", Requests.Chat(more));
        Assert.Equal(200, (int)response.StatusCode);
        Assert.Equal(["verbosity, guided_json:requred, guided_json:format=ba?d"], response.Headers.GetValues("X-LlamaCluster-Ignored"));
        await using var strict = await ApiHost.StartAsync(options: new ApiOptions { StrictFields = true });
        var error = (await strict.PostAsync("/v1/chat/completions", Requests.Chat("""{"guided_json":{"type":"null","requred":["a"]}}"""), 400))
            .GetProperty("error");
        Assert.Equal(
            ("guided_json", "'guided_json' has a schema with 'requred', which is no keyword."),
            (error.GetProperty("param").GetString(), error.GetProperty("message").GetString()));
    }

    [Theory]
    [InlineData("""{"response_format":{"type":"json_object"}}""", GrammarKind.JsonObject, "")]
    [InlineData("""{"response_format":{"type":"json_object","schema":{"type":"null"}}}""", GrammarKind.JsonSchema, """{"type":"null"}""")]
    [InlineData(
        """{"response_format":{"type":"json_schema","json_schema":{"name":"n","strict":true,"schema":{"type":"null"}}}}""",
        GrammarKind.JsonSchema, """{"type":"null"}""")]
    [InlineData("""{"response_format":{"type":"json_schema","json_schema":{"name":"n"}}}""", GrammarKind.JsonObject, "")]
    [InlineData("""{"response_format":{"type":"json_schema","schema":{"type":"null"}}}""", GrammarKind.JsonSchema, """{"type":"null"}""")]
    [InlineData("""{"guided_json":{"type":"null"}}""", GrammarKind.JsonSchema, """{"type":"null"}""")]
    [InlineData("""{"guided_json":"{\"type\":\"null\"}"}""", GrammarKind.JsonSchema, """{"type":"null"}""")]
    [InlineData("""{"guided_regex":"a|b"}""", GrammarKind.Regex, "a|b")]
    [InlineData("""{"guided_choice":["a","b"]}""", GrammarKind.Choice, """["a","b"]""")]
    [InlineData("""{"guided_grammar":"root ::= \"a\""}""", GrammarKind.Gbnf, "root ::= \"a\"")]
    [InlineData("""{"structured_outputs":{"json":{"type":"null"}}}""", GrammarKind.JsonSchema, """{"type":"null"}""")]
    [InlineData("""{"structured_outputs":{"regex":"a|b","choice":null}}""", GrammarKind.Regex, "a|b")]
    [InlineData("""{"structured_outputs":{"choice":["a","b"]}}""", GrammarKind.Choice, """["a","b"]""")]
    [InlineData("""{"structured_outputs":{"grammar":"root ::= \"a\""}}""", GrammarKind.Gbnf, "root ::= \"a\"")]
    [InlineData("""{"structured_outputs":{"json_object":true}}""", GrammarKind.JsonObject, "")]
    [InlineData("""{"grammar":"root ::= \"a\""}""", GrammarKind.Gbnf, "root ::= \"a\"")]
    [InlineData("""{"json_schema":{"type":"null"},"grammar":""}""", GrammarKind.JsonSchema, """{"type":"null"}""")]
    public async Task Each_way_to_ask_reaches_the_engine(string more, GrammarKind kind, string text)
    {
        await _api.PostAsync("/v1/chat/completions", Requests.Chat(more), 200);
        await _api.PostAsync("/v1/completions", Requests.Completion(more), 200);
        Assert.All(_api.Engine.Requests, request => Assert.Equal(new GrammarSource(kind, text), request.Grammar));
    }

    [Theory]
    [InlineData("""{"response_format":{"type":"text"}}""")]
    [InlineData("""{"structured_outputs":{"disable_fallback":true}}""")]
    [InlineData("""{"grammar":"","guided_json":null}""")]
    public async Task Nothing_asked_for_is_no_grammar(string more)
    {
        await _api.PostAsync("/v1/chat/completions", Requests.Chat(more), 200);
        Assert.Null(_api.Engine.Requests.Single().Grammar);
    }

    [Theory]
    [InlineData("""{"response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"properties":{"a":{"uniqueItems":true}}}}}}""",
        "response_format.json_schema.schema", "/properties/a: the keyword 'uniqueItems' cannot be enforced")]
    [InlineData("""{"response_format":{"type":"json_schema"}}""", "response_format.json_schema", "is required")]
    [InlineData("""{"guided_regex":"(a"}""", "guided_regex", "without its ')'")]
    [InlineData("""{"guided_choice":[]}""", "guided_choice", "at least one")]
    [InlineData("""{"guided_choice":"a"}""", "guided_choice", "a choice is a list of texts")]
    [InlineData("""{"structured_outputs":{"json":{"type":"text"}}}""", "structured_outputs.json", "JSON does not have")]
    [InlineData("""{"structured_outputs":{"regex":"a","choice":["a"]}}""", "structured_outputs.json", "must hold one of")]
    [InlineData("""{"structured_outputs":{"regex":"a","whitespace_pattern":" "}}""", "structured_outputs.whitespace_pattern", "is not supported")]
    [InlineData("""{"grammar":"root ::= a"}""", "grammar", "'a' is used, but not defined")]
    [InlineData("""{"grammar":"root ::= \"a\"","response_format":{"type":"json_object"}}""", "grammar", "both say what form an answer has")]
    [InlineData("""{"guided_regex":"a","ignore_eos":true}""", "guided_regex", "'ignore_eos' is set")]
    public async Task What_cannot_be_enforced_is_refused_by_field_and_place(string more, string param, string reason)
    {
        var error = (await _api.PostAsync("/v1/chat/completions", Requests.Chat(more), 400)).GetProperty("error");
        Assert.Equal(param, error.GetProperty("param").GetString());
        Assert.Contains(reason, error.GetProperty("message").GetString(), StringComparison.Ordinal);
        Assert.Empty(_api.Engine.Requests);
    }
}
