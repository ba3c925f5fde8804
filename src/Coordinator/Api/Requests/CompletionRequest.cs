using System.Collections.Immutable;
using System.Text.Json.Nodes;
using LlamaCluster.Coordinator.Weights;
using LlamaCluster.Primitives;
using LlamaCluster.Sessions.Grains;
using LlamaCluster.Text.GoTemplates;
using LlamaCluster.Text.Grammars;

namespace LlamaCluster.Coordinator.Api.Requests;

/// <summary>A request to continue prompts, as chat and plain completions both come to it; all fields are within their ranges.</summary>
/// <param name="Prompts">At least one; a chat has one.</param>
/// <param name="AddSpecialTokens">Add bos to texts where the model asks for it. Chat templates write their own, so chats add none unless told to.</param>
/// <param name="Echo">Each choice begins with its prompt.</param>
sealed record CompletionRequest(IReadOnlyList<RawPrompt> Prompts, bool AddSpecialTokens, bool Echo, GenerationSettings Settings)
{
    /// <summary>The functions that the model may call; null: none.</summary>
    public ToolUse? Tools { get; init; }

    /// <summary>Answers are told apart into reasoning and words for the user, where the model reasons.</summary>
    public bool MayReason { get; init; }

    /// <summary>The prompts are embedded, and nothing is generated.</summary>
    public bool IsEmbedding => Settings.Sampling.Pooling != Pooling.None;

    /// <summary>A prompt that is too long for the context loses its end, instead of being refused.</summary>
    public bool CutsPrompts { get; init; }

    /// <summary>
    /// The conversation that a chat goes on from, whose ids are kept where the prompt begins with it, and whose answer is taken down; nothing of it changes.
    /// Null: nobody goes on from the answer.
    /// </summary>
    public SessionState? Before { get; init; }

    /// <summary>What changes the model for this request; null: nothing.</summary>
    public ServedAdapter? Adapter { get; init; }

    /// <summary>What it says of a session.</summary>
    public SessionRequest Session { get; init; } = SessionRequest.None;
}

/// <summary>A prompt as a client gives it, before it is encoded.</summary>
abstract record RawPrompt
{
    RawPrompt() { }

    /// <summary>Ids that stand before the prompt: what an earlier answer ended with.</summary>
    public IReadOnlyList<int> Before { get; init; } = [];

    /// <param name="Messages">
    /// As chat templates take them, in OpenAI's form: role (system, user, assistant, tool), content (one string, or null beside calls) and perhaps name,
    /// tool_calls, tool_call_id, reasoning_content.
    /// </param>
    /// <param name="AddGenerationPrompt">Open the assistant's turn after the last message.</param>
    public sealed record Chat(JsonArray Messages, bool AddGenerationPrompt) : RawPrompt
    {
        /// <summary>The answer goes on with the last message, which is the assistant's, instead of being one of its own.</summary>
        public bool ContinuesLast { get; init; }

        /// <summary>Functions that the prompt tells of; null: none.</summary>
        public ToolUse? Tools { get; init; }

        /// <summary>What the template takes for the time of day; null: the time of day.</summary>
        public DateTimeOffset? Now { get; init; }

        /// <summary>The request's own template, in place of the model's; null: the model's.</summary>
        public GoTemplate? Template { get; init; }

        /// <summary>Further variables of the template.</summary>
        public IReadOnlyDictionary<string, JsonNode?> Variables { get; init; } = ImmutableDictionary<string, JsonNode?>.Empty;
    }

    public sealed record Text(string Written) : RawPrompt;

    /// <summary>What belongs between two texts is asked for.</summary>
    /// <param name="Prefix">The text that comes first, with the beginning of what is asked for.</param>
    public sealed record Infill(string Prefix, string Suffix) : RawPrompt
    {
        /// <summary>Other texts of the same project, the least important first.</summary>
        public IReadOnlyList<InfillFile> Files { get; init; } = [];

        /// <summary>What is too long for the context is cut: the files, then the prefix at its start and the suffix at its end. Else it is refused.</summary>
        public bool Cuts { get; init; }
    }

    /// <param name="Ids">All in the vocabulary.</param>
    public sealed record Tokens(IReadOnlyList<int> Ids) : RawPrompt;
}

/// <param name="Name">Empty: it has none.</param>
sealed record InfillFile(string Name, string Text);

/// <summary>A prompt that the model can read.</summary>
/// <param name="Text">What /v1/completions echoes: the prompt as given, or what its ids stand for. Empty for ids that nobody wants echoed.</param>
/// <param name="Ids">What the model reads.</param>
sealed record EncodedPrompt(string Text, IReadOnlyList<int> Ids);

/// <summary>The form of an answer that a request asks for.</summary>
/// <param name="Field">The field that asks for it, for errors.</param>
sealed record AskedGrammar(string Field, GrammarSource Source);

/// <summary>How to generate: what chat and plain completions have in common.</summary>
sealed record GenerationSettings
{
    /// <summary>All but the seed, of which each choice has its own.</summary>
    public required SamplingOptions Sampling { get; init; }

    /// <summary>The first choice's seed; null where each choice draws one.</summary>
    public long? Seed { get; init; }

    /// <summary>Choices per prompt (n).</summary>
    public int Choices { get; init; } = 1;

    /// <summary>Null: as many as the context has room for.</summary>
    public int? MaxTokens { get; init; }

    /// <summary>Name of the field that gave <see cref="MaxTokens"/>, for errors.</summary>
    public string MaxTokensField { get; init; } = "max_tokens";

    /// <summary>Texts that end a choice and are not part of it.</summary>
    public IReadOnlyList<string> Stops { get; init; } = [];

    /// <summary>Ids that end a choice.</summary>
    public IReadOnlySet<int> StopIds { get; init; } = new HashSet<int>();

    /// <summary>The form that each answer must have; null: any.</summary>
    public AskedGrammar? Grammar { get; init; }

    /// <summary>The lower, the earlier.</summary>
    public int Priority { get; init; }

    /// <summary>The end user on whose behalf the client asks.</summary>
    public string? User { get; init; }

    /// <summary>KV is shared with requests of the same salt only.</summary>
    public string CacheSalt { get; init; } = "";

    /// <summary>The answer's token ids are wanted after it has ended.</summary>
    public bool KeepsIds { get; init; }

    public bool Stream { get; init; }

    /// <summary>A stream ends with a chunk that has the usage.</summary>
    public bool IncludeUsage { get; init; }

    /// <summary>Every chunk of a stream has the usage so far.</summary>
    public bool ContinuousUsage { get; init; }

    /// <summary>The answer says which service tier served it.</summary>
    public bool NamesServiceTier { get; init; }
}
