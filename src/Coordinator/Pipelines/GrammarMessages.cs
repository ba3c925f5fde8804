using System.Buffers;
using Google.Protobuf;
using LlamaCluster.Cluster;
using LlamaCluster.Coordinator.Scheduling;
using LlamaCluster.Protos;
using LlamaCluster.Text;

namespace LlamaCluster.Coordinator.Pipelines;

/// <summary>
/// What the ranks of the last stage must have of a step's grammars before the step: each with the vocabulary that it is for, unless the stage has that. It
/// keeps a few vocabularies, and forgets all of them before there are more; so does this. Not for several threads at a time.
/// </summary>
/// <param name="lastStage">The stage's first layer.</param>
sealed class GrammarMessages(PipelineOptions options, int lastStage)
{
    /// <summary>Bytes and tokens of one part of a vocabulary: far below a message's budget.</summary>
    const int PartBytes = 1 << 20;

    const int PartTokens = 1 << 18;

    readonly HashSet<ulong> _there = [];   // by the adapter whose own vocabulary it is; 0: the model's

    /// <summary>Those of the step's new sequences. To be sent in this order.</summary>
    public IEnumerable<StepRequest> Of(ScheduledStep step)
    {
        var view = options.Plan.ViewVersion;
        foreach (var chunk in step.Chunks)
        {
            if (!chunk.IsNewTo(lastStage) || chunk.Run.Sequence.Request is not { Grammar: { } grammar } request) continue;
            var own = request.Adapter is { } adapter ? options.AdapterTokenizer(adapter.Digest) : null;
            var vocabulary = own is null ? 0 : request.Adapter!.Id;
            if ((own ?? options.Tokenizer) is { } tokenizer && !_there.Contains(vocabulary))
            {
                if (_there.Count == MessageBudgets.Vocabularies) _there.Clear();
                _there.Add(vocabulary);
                foreach (var part in PartsOf(tokenizer, view, vocabulary)) yield return new StepRequest { Vocabulary = part };
            }
            yield return new StepRequest
            {
                Grammar = new SequenceGrammar
                {
                    ViewVersion = view,
                    SequenceId = chunk.Run.Id,
                    Kind = (uint)grammar.Kind,
                    Text = grammar.Text,
                    AdapterId = vocabulary,
                },
            };
        }
    }

    static IEnumerable<VocabularyPart> PartsOf(ITokenizer tokenizer, ulong view, ulong adapter)
    {
        var texts = new ArrayBufferWriter<byte>(PartBytes);
        var part = new VocabularyPart { ViewVersion = view, AdapterId = adapter };
        for (var id = 0; id < tokenizer.VocabularySize; id++)
        {
            var text = tokenizer.IsControl(id) ? default : tokenizer.BytesOf(id);
            if (text.Length > PartBytes) text = default;   // no grammar can use it
            if (texts.WrittenCount + text.Length > PartBytes || part.Lengths.Count == PartTokens)
            {
                part.Texts = ByteString.CopyFrom(texts.WrittenSpan);
                yield return part;
                texts.ResetWrittenCount();
                part = new VocabularyPart { ViewVersion = view, AdapterId = adapter };
            }
            texts.Write(text.Span);
            part.Lengths.Add((uint)text.Length);
        }
        part.Texts = ByteString.CopyFrom(texts.WrittenSpan);
        part.EndIds.Add(tokenizer.StopIds);
        part.Last = true;
        yield return part;
    }
}
