using LlamaCluster.Cluster.Mapping;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Protos;
using LlamaCluster.Text.Grammars;

namespace LlamaCluster.Coordinator.Peers;

/// <summary>Requests and events on their way between coordinators. Whoever reads them checks them: a message can hold anything.</summary>
static class SequenceMessages
{
    /// <summary>Tokens of one part of a list: far below a message's budget.</summary>
    const int PartTokens = 1 << 18;

    const int NoList = -1;

    /// <summary>What begins a call: lists, sequences, and the word to go.</summary>
    public static IEnumerable<GenerateRequest> Of(IReadOnlyList<SequenceRequest> requests, string replica, string modelDigest)
    {
        Dictionary<IReadOnlyList<int>, int> lists = new(ReferenceEqualityComparer.Instance);
        foreach (var request in requests)
        {
            IEnumerable<IReadOnlyList<int>> its = request.SoFar is { Generated.Count: > 0 } past ? [request.Prompt, past.Generated] : [request.Prompt];
            foreach (var list in its)
                if (lists.TryAdd(list, lists.Count))
                    foreach (var part in PartsOf(list)) yield return new GenerateRequest { Tokens = part };
        }
        foreach (var request in requests)
        {
            var generated = request.SoFar is { Generated.Count: > 0 } past ? lists[past.Generated] : NoList;
            yield return new GenerateRequest { Sequence = StartOf(request, lists[request.Prompt], generated) };
        }
        yield return new GenerateRequest { Go = new GenerateGo { Replica = replica, ModelDigest = modelDigest } };
    }

    /// <param name="lists">The token lists of the call.</param>
    /// <exception cref="InvalidMessageException">It names a list that there is not, or has a field that it cannot have.</exception>
    public static SequenceRequest Read(SequenceStart start, IReadOnlyList<IReadOnlyList<int>> lists) => new(
        lists[Field.Count("prompt", start.Prompt, 0, lists.Count - 1)], Field.Required("sampling", start.Sampling).ToOptions(),
        start.MaxTokens, start.StopIds.ToHashSet())
    {
        MaxTokensIsDefault = start.MaxTokensIsDefault,
        Priority = start.Priority,
        Client = start.Client,
        CacheSalt = start.CacheSalt,
        Adapter = start.AdapterDigest.Length == 0 ? null : new SequenceAdapter(Field.Digest("adapter_digest", start.AdapterDigest)),
        SessionKey = start.Session.Length == 0 ? null : start.Session,
        RequestId = start.RequestId,
        TraceParent = start.TraceParent,
        Grammar = start.GrammarKind == (uint)GrammarKind.None
            ? null
            : new GrammarSource((GrammarKind)Field.Count("grammar_kind", start.GrammarKind, 1, (int)GrammarKind.Tags), start.GrammarText),
        SoFar = start.Generated == NoList && start.PromptDelivered == 0
            ? null
            : new SequenceSoFar(
                start.Generated == NoList ? [] : lists[Field.Count("generated", start.Generated, 0, lists.Count - 1)],
                Field.Count("prompt_delivered", start.PromptDelivered, 0, int.MaxValue)),
    };

    public static GenerateReply ToReply(this SequenceEvent happened, int sequence)
    {
        var reply = new GenerateReply { Sequence = (uint)sequence };
        switch (happened)
        {
            case SequenceEvent.Begun begun: reply.Begun = (uint)begun.CachedTokens; break;
            case SequenceEvent.Prompt prompt: reply.Prompt = new PromptScores { Tokens = { prompt.Tokens.Select(token => token.ToMessage()) } }; break;
            case SequenceEvent.Token token: reply.Token = token.Sampled.ToMessage(); break;
            case SequenceEvent.Embedded embedded: reply.Embedded = new PromptEmbedding { Vector = { embedded.Vector } }; break;
            case SequenceEvent.Finished finished: reply.Finished = finished.Reason == FinishReason.Stop ? FinishKind.Stop : FinishKind.Length; break;
            case SequenceEvent.Refused refused: reply.Refused = new SequenceRefused { Why = (uint)refused.Why, Message = refused.Message }; break;
            case SequenceEvent.Failed failed: reply.Failed = new SequenceBroken { Message = failed.Message, Retryable = failed.Retryable }; break;
            default: throw new InvalidOperationException($"no message is known for {happened.GetType().Name}");
        }
        return reply;
    }

    /// <param name="vocabularySize">V: ids are below it.</param>
    /// <exception cref="InvalidMessageException">It is no event, or has an id that no token has.</exception>
    public static SequenceEvent ToEvent(this GenerateReply reply, int vocabularySize) => reply.KindCase switch
    {
        GenerateReply.KindOneofCase.Begun => new SequenceEvent.Begun(Field.Count("begun", reply.Begun, 0, int.MaxValue)),
        GenerateReply.KindOneofCase.Prompt => new SequenceEvent.Prompt([.. reply.Prompt.Tokens.Select(token => token.ToToken(vocabularySize))]),
        GenerateReply.KindOneofCase.Token => new SequenceEvent.Token(reply.Token.ToToken(vocabularySize)),
        GenerateReply.KindOneofCase.Embedded => new SequenceEvent.Embedded([.. reply.Embedded.Vector]),
        GenerateReply.KindOneofCase.Finished => new SequenceEvent.Finished(reply.Finished switch
        {
            FinishKind.Stop => FinishReason.Stop,
            FinishKind.Length => FinishReason.Length,
            var other => throw new InvalidMessageException($"finished is {other}"),
        }),
        GenerateReply.KindOneofCase.Refused => new SequenceEvent.Refused(
            reply.Refused.Message.ReplaceLineEndings(" "), (Refusal)Field.Count("refused.why", reply.Refused.Why, 0, (int)Refusal.NoAdapter)),
        GenerateReply.KindOneofCase.Failed => new SequenceEvent.Failed(reply.Failed.Message.ReplaceLineEndings(" "), reply.Failed.Retryable),
        _ => throw new InvalidMessageException("a reply without a kind"),
    };

    static IEnumerable<TokenPart> PartsOf(IReadOnlyList<int> list)
    {
        var start = 0;
        do
        {
            var part = new TokenPart();
            for (var end = Math.Min(list.Count, start + PartTokens); start < end; start++) part.Tokens.Add(list[start]);
            part.Last = start == list.Count;
            yield return part;
        }
        while (start < list.Count);
    }

    static SequenceStart StartOf(SequenceRequest request, int prompt, int generated) => new()
    {
        Prompt = (uint)prompt,
        Generated = generated,
        PromptDelivered = (uint)(request.SoFar?.PromptDelivered ?? 0),
        Sampling = request.Sampling.ToMessage(),
        MaxTokens = request.MaxTokens,
        MaxTokensIsDefault = request.MaxTokensIsDefault,
        StopIds = { request.StopIds },
        Priority = request.Priority,
        Client = request.Client,
        CacheSalt = request.CacheSalt,
        AdapterDigest = request.Adapter?.Digest ?? "",
        Session = request.SessionKey ?? "",
        RequestId = request.RequestId,
        TraceParent = request.TraceParent,
        GrammarKind = (uint)(request.Grammar?.Kind ?? GrammarKind.None),
        GrammarText = request.Grammar?.Text ?? "",
    };
}
