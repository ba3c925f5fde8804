using System.Buffers;
using System.Runtime.InteropServices;
using LlamaCluster.Model.Ranks;
using LlamaCluster.Model.Sampling;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Tests.Sampling;

/// <summary>Messages of ranks are taken as they were made, and refused where they cannot be.</summary>
public sealed class ScoreTableTests
{
    [Fact]
    public void Rows_and_ids_are_found_where_they_were_put()
    {
        var scores = new ScoreTable(1, 3, 100);
        ScoredId[] ids = [.. Enumerable.Range(0, 5).Select(i => new ScoredId(i, i, -i))];
        var message = Message(
            (new RowScores { MaxLogit = 1, Chosen = ScoredId.None }, []),
            (new RowScores { MaxLogit = 2, TopCount = 2, CandidateCount = 3 }, ids));
        scores.Read(message, 2);

        Assert.Equal((1f, 2f), (scores[0].MaxLogit, scores[1].MaxLogit));
        Assert.Empty(scores.Candidates(0).ToArray());
        Assert.Equal(ids[..2], scores.Top(1).ToArray());
        Assert.Equal(ids[2..], scores.Candidates(1).ToArray());

        // What was read is written as it came.
        var copy = new ArrayBufferWriter<byte>();
        scores.Write(copy);
        Assert.Equal(message, copy.WrittenSpan.ToArray());
    }

    [Fact]
    public void Messages_that_cannot_be_are_refused_and_name_the_rank()
    {
        Refused([]);
        Refused(Message((default, []))[..^1]);
        Refused([.. Message((default, [])), 0]);
        Refused(Message((new RowScores { TopCount = 1 }, [])));
        Refused(Message((new RowScores { CandidateCount = -1, TopCount = 1 }, [])));
        Refused(Message((new RowScores { CandidateCount = int.MaxValue, TopCount = int.MaxValue }, [])));
        Refused(Message((new RowScores { Chosen = new ScoredId(100, 0, 0) }, [])));
        Refused(Message((new RowScores { CandidateCount = 1 }, [new ScoredId(-1, 0, 0)])));
        Refused(Message((new RowScores { CandidateCount = 1 }, [new ScoredId(int.MaxValue, 0, 0)])));
    }

    /// <summary>A rank alone is read where it put what it has to say; with others, from its message. Both give the same bits.</summary>
    [Theory]
    [MemberData(nameof(SamplerTests.MixtureIndexes), MemberType = typeof(SamplerTests))]
    public void Messages_change_no_bit(int mixture)
    {
        const int vocabularySize = 300;
        var options = SamplerTests.Mixtures[mixture] with { TopLogprobs = 3 };
        var history = SamplerTests.HistoryOf(options, [1, 2, 3, 50], [5, 5, 6, 290]);
        var mask = new byte[38];
        mask.AsSpan(3).Fill(0xB5);
        var (direct, byMessage) = (new TestSampler(vocabularySize), new TestSampler(vocabularySize) { ByMessage = true });
        for (var i = 0; i < 500; i++)
        {
            var logits = TestLogits.Of(vocabularySize, i);
            if (i % 50 == 49) logits[i % vocabularySize] = float.NaN;
            var (own, seeded) = (i % 2 == 0 ? mask : [], options with { Seed = (ulong)i });
            Assert.Equal(Describe(direct.Sample(logits, seeded, history, own, i)), Describe(byMessage.Sample(logits, seeded, history, own, i)));
            Assert.Equal(Describe(direct.Score(logits, i % vocabularySize, 2)), Describe(byMessage.Score(logits, i % vocabularySize, 2)));
        }
        Assert.Equal(0, direct.Sent);
        Assert.NotEqual(0, byMessage.Sent);

        static string Describe(SampledToken? token) => token is null ? "not finite" : $"{token.Id} {token.Logprob:R} {string.Join(' ', token.Top)}";
    }

    static void Refused(byte[] message)
    {
        var e = Assert.Throws<RankLostException>(() => new ScoreTable(1, 1, 100).Read(message, 1));
        Assert.Equal(1, e.Rank);
        Assert.StartsWith("rank 1 gave scores that cannot be: ", e.Message);
    }

    static byte[] Message(params (RowScores Head, ScoredId[] Ids)[] rows)
    {
        var message = new ArrayBufferWriter<byte>();
        foreach (var (head, ids) in rows)
        {
            message.Write(MemoryMarshal.AsBytes(new ReadOnlySpan<RowScores>(in head)));
            message.Write(MemoryMarshal.AsBytes(ids.AsSpan()));
        }
        return message.WrittenSpan.ToArray();
    }
}
