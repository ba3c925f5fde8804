using System.Collections.Immutable;
using System.Text.Json.Nodes;

namespace LlamaCluster.Text.Templates;

/// <summary>What a chat template is rendered with: the variables that Hugging Face's <c>apply_chat_template</c> passes.</summary>
public sealed record ChatTemplateInput
{
    /// <summary><c>messages</c>: an array of objects with at least <c>role</c> and mostly <c>content</c>, as in the OpenAI API.</summary>
    public required JsonNode Messages { get; init; }

    /// <summary><c>tools</c>: an array of tool definitions as in the OpenAI API; none where null.</summary>
    public JsonNode? Tools { get; init; }

    /// <summary><c>add_generation_prompt</c>: end with the words that open the assistant's turn.</summary>
    public bool AddGenerationPrompt { get; init; } = true;

    /// <summary><c>bos_token</c>: the text of the token that opens every sequence; empty where the model has none.</summary>
    public string BosToken { get; init; } = "";

    /// <summary><c>eos_token</c>: the text of the token that ends a sequence; empty where the model has none.</summary>
    public string EosToken { get; init; } = "";

    /// <summary>The clock that <c>strftime_now</c> reads.</summary>
    public required DateTimeOffset Now { get; init; }

    /// <summary>Further variables by name, such as <c>date_string</c> or <c>builtin_tools</c>. They win over those above.</summary>
    public IReadOnlyDictionary<string, JsonNode?> Variables { get; init; } = ImmutableDictionary<string, JsonNode?>.Empty;
}
