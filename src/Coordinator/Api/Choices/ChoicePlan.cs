using System.Buffers.Binary;
using System.Diagnostics;
using System.Security.Cryptography;
using System.Text;
using LlamaCluster.Coordinator.Api.Keys;
using LlamaCluster.Coordinator.Api.Reading;
using LlamaCluster.Coordinator.Api.Requests;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Text.Answers;
using LlamaCluster.Text.Grammars;
using Microsoft.AspNetCore.Http;

namespace LlamaCluster.Coordinator.Api.Choices;

/// <summary>Who sent a request, and the names under which logs and traces know it.</summary>
/// <param name="Client">
/// The client that shares the cluster with others: a digest of the name that its key has, or where none are asked for of whatever key it shows and its
/// address, and of the end user named by `user`. Without keys nobody proves who they are, so this makes for fairness among clients that mean well.
/// </param>
/// <param name="Salt">
/// Between callers with keys of different names no KV is shared, so that nobody learns from the time of an answer what another has asked. "" where no
/// keys are asked for.
/// </param>
/// <param name="RequestId">The answer's X-Request-Id.</param>
/// <param name="TraceParent">The W3C trace context that work on this request belongs to; null where nobody traces.</param>
/// <param name="Priority">The one that was asked for, or the earliest that the key may have.</param>
sealed record RequestOrigin(string Client, string Salt, string RequestId, string? TraceParent, int Priority)
{
    /// <summary>An answer that is run later than it asks for says so.</summary>
    public static RequestOrigin Of(HttpContext http, GenerationSettings settings)
    {
        var caller = CallerOf(http);
        var priority = caller?.Limits.Raise(settings.Priority) ?? settings.Priority;
        if (priority != settings.Priority) RequestReader.AddAdjusted(http.Response, "priority", $"{priority}");
        return new(
            ClientOf(http, settings.User), caller is null ? "" : $"key {caller.Name}\n", http.TraceIdentifier,
            Activity.Current is { IdFormat: ActivityIdFormat.W3C } traced ? traced.Id : null, priority);
    }

    /// <summary>Who has shown a key that is known; null where none are asked for.</summary>
    public static ApiCaller? CallerOf(HttpContext http) => http.Features.Get<ApiCaller>();

    /// <summary>Who shares the cluster with others; see <see cref="Client"/>.</summary>
    public static string ClientOf(HttpContext http, string? user)
    {
        var names = CallerOf(http) is { } caller
            ? string.Join('\n', "key", caller.Name, user)
            : string.Join('\n', http.Request.Headers.Authorization, http.Request.Headers["X-Api-Key"], http.Connection.RemoteIpAddress, user);
        return Convert.ToHexString(SHA256.HashData(Encoding.UTF8.GetBytes(names)));
    }
}

/// <summary>One choice of a response: a sequence, and what to make of its tokens.</summary>
/// <param name="Prompt">Index of the prompt that it continues.</param>
/// <param name="Stops">Texts that end it.</param>
/// <param name="Echo">The prompt that the choice begins with; null where it does not.</param>
/// <param name="Hidden">The sequence's only token is not asked for: the sequence runs to score the prompt.</param>
sealed record ChoiceRequest(int Index, int Prompt, SequenceRequest Sequence, IReadOnlyList<string> Stops, EncodedPrompt? Echo, bool Hidden)
{
    /// <summary>What its text may hold besides words; null: nothing is looked for.</summary>
    public AnswerFormat? Format { get; init; }

    /// <summary>Its token ids are wanted after it has ended.</summary>
    public bool KeepsIds { get; init; }

    /// <summary>Takes down what is generated; null: nobody asks for it.</summary>
    public AnswerRecord? Record { get; init; }
}

/// <summary>The sequences of a request: n per prompt, in the order of OpenAI's indices (all choices of the first prompt first).</summary>
/// <param name="context">The most tokens of prompt and answer. An answer gets no more than fit, however many were asked for.</param>
/// <param name="formats">What answers may hold besides words.</param>
/// <param name="grammar">The form that answers must have; null: any.</param>
sealed class ChoicePlan(CompletionRequest request, RequestOrigin origin, int context, AnswerFormats formats, GrammarSource? grammar)
{
    readonly GenerationSettings _settings = request.Settings;

    /// <summary>Takes down the only choice; null: none.</summary>
    public AnswerRecord? Record { get; init; }

    /// <summary>Where the KV of the prompt's beginning is; null: not known.</summary>
    public KvPlace? KvAt { get; init; }

    public IReadOnlyList<ChoiceRequest> Make(IReadOnlyList<EncodedPrompt> prompts)
        => [.. from prompt in prompts.Index()
               from choice in Enumerable.Range(0, _settings.Choices)
               select MakeOne(prompt.Index * _settings.Choices + choice, prompt.Index, prompt.Item, SeedOf(choice))];

    ChoiceRequest MakeOne(int index, int promptIndex, EncodedPrompt prompt, ulong seed)
    {
        var room = context - prompt.Ids.Count;
        var tokens = Math.Min(_settings.MaxTokens ?? room, room);
        var sampling = _settings.Sampling with { Seed = seed, PromptLogprobs = request.Echo && _settings.Sampling.TopLogprobs is not null };
        // Prompts too are scored by a sequence, and a sequence makes one token at least.
        var sequence = new SequenceRequest(prompt.Ids, sampling, Math.Max(1, tokens), _settings.StopIds)
        {
            Priority = origin.Priority,
            Client = origin.Client,
            CacheSalt = origin.Salt + _settings.CacheSalt,
            Adapter = request.Adapter is { } adapter ? SequenceAdapter.Of(adapter) : null,
            SessionKey = request.Session.Id,
            MaxTokensIsDefault = _settings.MaxTokens is null,
            RequestId = origin.RequestId,
            TraceParent = origin.TraceParent ?? "",
            Grammar = grammar,
            KvAt = KvAt,
        };
        return new(index, promptIndex, sequence, _settings.Stops, request.Echo ? prompt : null, Hidden: tokens == 0)
        {
            Format = formats.Of(request, prompt),
            KeepsIds = _settings.KeepsIds,
            Record = Record,
        };
    }

    /// <summary>The same seed gives the same choices again, and neighbouring choices differ.</summary>
    ulong SeedOf(int choice)
    {
        if (_settings.Seed is { } seed) return unchecked((ulong)(seed + choice));
        Span<byte> random = stackalloc byte[sizeof(ulong)];
        RandomNumberGenerator.Fill(random);
        return BinaryPrimitives.ReadUInt64LittleEndian(random);
    }
}
