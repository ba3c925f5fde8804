using System.Buffers.Binary;
using System.Net.Sockets;
using LlamaCluster.Protos;
using LlamaCluster.Testing;
using LlamaCluster.Worker.Peers;

namespace LlamaCluster.Worker.Tests.Peers;

/// <summary>What every kind of link owes, and what the direct connection makes of bytes that no rank sent.</summary>
public class PeerLinkTests
{
    static readonly LinkHeader Header = new(7, 11, RankFrame.Types.Content.SumBf16, 3, 5);

    public static readonly TheoryData<string> Kinds = LinkPair.Kinds;

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task Messages_OfAnySize_ArriveInOrderBothWays(string kind)
    {
        await using var pair = await LinkPair.ConnectAsync(kind);
        var random = new Random(1);
        int[] sizes =
        [
            0, 1, 31, 4096, IPeerLink.MaxPayload, 77, IPeerLink.MaxPayload - 1,
            .. Enumerable.Range(0, 40).Select(_ => random.Next(IPeerLink.MaxPayload)),
        ];

        await Task.WhenAll(Converse(pair.First), Converse(pair.Second)).Soon();

        Task Converse(IPeerLink link) => OnThread(() =>
        {
            foreach (var (chunk, size) in sizes.Index())
            {
                var header = Header with { Chunk = (uint)chunk };
                link.Send(header, Content(size));
                var payload = new byte[IPeerLink.MaxPayload];
                Assert.Equal(size, link.Receive(out var received, payload));
                Assert.Equal(header, received);
                Assert.True(Content(size).SequenceEqual(payload[..size]));
            }
        });
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task Send_OfAWindowBeforeAnybodyReceives_DoesNotBlock(string kind)
    {
        await using var pair = await LinkPair.ConnectAsync(kind);
        const int size = 32 << 10;
        const int count = IPeerLink.Window / size;

        await Task.WhenAll(SendAll(pair.First), SendAll(pair.Second)).Soon();
        await Task.WhenAll(ReceiveAll(pair.First), ReceiveAll(pair.Second)).Soon();

        static Task SendAll(IPeerLink link) => OnThread(() =>
        {
            for (var i = 0; i < count; i++) link.Send(Header, Content(size));
        });
        static Task ReceiveAll(IPeerLink link) => OnThread(() =>
        {
            for (var i = 0; i < count; i++) Assert.Equal(size, link.Receive(out _, new byte[size]));
        });
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task Receive_OfAPeerThatHasGone_FailsAtOnce(string kind)
    {
        await using var pair = await LinkPair.ConnectAsync(kind);
        var waiting = Failure(pair.First);
        await pair.Second.DisposeAsync();
        Assert.StartsWith("rank 0: ", (await waiting.Soon()).Message);
        Assert.StartsWith("rank 0: ", Assert.Throws<PeerLinkException>(() => pair.First.Send(Header, [])).Message);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task Close_FromAnotherThread_WakesWhoWaitsAndSaysWhy(string kind)
    {
        await using var pair = await LinkPair.ConnectAsync(kind);
        var waiting = Failure(pair.First);
        pair.First.Close("view 7 is over");
        Assert.Equal("view 7 is over", (await waiting.Soon()).Message);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task Receive_OfASilentPeer_FailsAtTheDeadline(string kind)
    {
        await using var pair = await LinkPair.ConnectAsync(kind, TimeSpan.FromMilliseconds(80));
        Assert.Equal("rank 0: nothing came for 0.08 s", (await Failure(pair.First).Soon()).Message);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task Receive_OfMoreThanIsDue_EndsTheLink(string kind)
    {
        await using var pair = await LinkPair.ConnectAsync(kind);
        pair.Second.Send(Header, Content(9));
        var failure = await OnThread(() => Assert.Throws<PeerLinkException>(() => pair.First.Receive(out _, new byte[8]))).Soon();
        Assert.Contains("9 bytes where at most 8 were due (SumBf16 of view 7, step 11, exchange 3, chunk 5)", failure.Message);
        Assert.Throws<PeerLinkException>(() => pair.First.Receive(out _, new byte[8]));
    }

    [Theory]
    [InlineData(0, false)]
    [InlineData(1, true)]
    [InlineData(LinkFrame.HeaderBytes, true)]
    [InlineData(LinkFrame.HeaderBytes + 99, true)]
    public async Task Receive_OfAPeerThatDiesWithinAMessage_SaysSo(int bytes, bool within)
    {
        var (link, raw) = await LinkPair.ConnectRawAsync();
        await using var owned = link;
        await raw.SendAsync(Frame(100)[..bytes]);
        raw.Dispose();
        Assert.Equal($"rank 1: it ended the connection{(within ? " within a message" : "")}", (await Failure(link).Soon()).Message);
    }

    [Theory]
    [InlineData(IPeerLink.MaxPayload + 1)]
    [InlineData(int.MaxValue)]
    [InlineData(-1)]
    public async Task Receive_OfAnOversizeMessage_EndsTheLink(int length)
    {
        var (link, raw) = await LinkPair.ConnectRawAsync();
        await using var owned = link;
        using var peer = raw;
        await raw.SendAsync(Frame(length).AsMemory(0, LinkFrame.HeaderBytes));
        Assert.Equal($"rank 1: it sent a message of {(uint)length} bytes, more than 65536", (await Failure(link).Soon()).Message);
        Assert.Equal(0, await raw.ReceiveAsync(new byte[1], SocketFlags.None).Soon());
    }

    [Fact]
    public async Task Receive_OfGarbage_EndsTheLink()
    {
        var (link, raw) = await LinkPair.ConnectRawAsync();
        await using var owned = link;
        using var peer = raw;
        await raw.SendAsync("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"u8.ToArray());
        Assert.Equal("rank 1: it sent what is no message", (await Failure(link).Soon()).Message);
    }

    [Fact]
    public async Task Receive_OfBytesInPieces_PutsThemTogether()
    {
        var (link, raw) = await LinkPair.ConnectRawAsync();
        await using var owned = link;
        using var peer = raw;
        raw.NoDelay = true;
        var receiving = OnThread(() =>
        {
            var payload = new byte[100];
            for (var i = 0; i < 3; i++)
            {
                Assert.Equal(100, link.Receive(out var header, payload));
                Assert.Equal((Header, 100), (header, payload.Index().Count(item => item.Item == Content(100)[item.Index])));
            }
        });
        byte[] all = [.. Frame(100), .. Frame(100), .. Frame(100)];
        foreach (var piece in all.Chunk(7)) await raw.SendAsync(piece);
        await receiving.Soon();
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task HasMessage_OnceOneIsThere_SaysSo(string kind)
    {
        await using var pair = await LinkPair.ConnectAsync(kind);
        Assert.False(pair.First.HasMessage);
        pair.Second.Send(Header, Content(9));
        await OnThread(() => SpinWait.SpinUntil(() => pair.First.HasMessage)).Soon();
        Assert.Equal(9, pair.First.Receive(out _, new byte[9]));
        Assert.False(pair.First.HasMessage);
        await pair.Second.DisposeAsync();
        await OnThread(() => SpinWait.SpinUntil(() => pair.First.HasMessage)).Soon();
    }

    [Theory]
    [MemberData(nameof(LinkPair.DirectKinds), MemberType = typeof(LinkPair))]
    public async Task Messages_OnADirectConnection_AllocateNothing(string kind)
    {
        await using var pair = await LinkPair.ConnectAsync(kind);
        var allocated = await OnThread(() =>
        {
            var payload = new byte[32 << 10];
            for (var i = 0; i < 100; i++) Trip(payload);
            // A collection that another test's thread begins counts the rest of this thread's allocation block. So the least of a few counts.
            return Enumerable.Range(0, 5).Min(_ =>
            {
                var before = GC.GetAllocatedBytesForCurrentThread();
                for (var i = 0; i < 200; i++) Trip(payload);
                return GC.GetAllocatedBytesForCurrentThread() - before;
            });
        }).Soon();
        Assert.Equal(0, allocated);

        void Trip(byte[] payload)
        {
            pair.First.Send(Header, payload);
            pair.Second.Receive(out _, payload);
        }
    }

    static byte[] Content(int size) => [.. Enumerable.Range(0, size).Select(i => (byte)(i * 31 + size))];

    static byte[] Frame(int length)
    {
        var payload = Content(Math.Clamp(length, 0, 100));
        var frame = new byte[LinkFrame.HeaderBytes + payload.Length];
        LinkFrame.Write(frame, Header, length);
        payload.CopyTo(frame, LinkFrame.HeaderBytes);
        Assert.Equal(length, BinaryPrimitives.ReadInt32LittleEndian(frame));
        return frame;
    }

    static Task<PeerLinkException> Failure(IPeerLink link) => OnThread(() => Assert.Throws<PeerLinkException>(() => link.Receive(out _, new byte[100])));

    static Task OnThread(Action work) => Task.Factory.StartNew(work, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);

    static Task<T> OnThread<T>(Func<T> work) => Task.Factory.StartNew(work, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
}
