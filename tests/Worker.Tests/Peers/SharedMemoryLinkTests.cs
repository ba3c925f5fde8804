using System.Diagnostics;
using LlamaCluster.Kernels;
using LlamaCluster.Protos;
using LlamaCluster.Testing;
using LlamaCluster.Worker.Peers;

namespace LlamaCluster.Worker.Tests.Peers;

/// <summary>How a link's memory is opened, and what the link makes of memory that the other side has damaged.</summary>
public sealed class SharedMemoryLinkTests
{
    const int SecondRing = SharedMemoryLink.FirstRing + SharedMemoryLink.RingData + SharedMemoryLink.RingBytes;

    static readonly LinkHeader Header = new(7, 11, RankFrame.Types.Content.SumF32, 3, 5);

    [Fact]
    public async Task Open_OfWhatWasOffered_WorksOnceAndLeavesNoName()
    {
        if (!SharedMemory.IsSupported) return;
        await using var created = SharedMemoryLink.Create("rank 1", WaitExtensions.Deadline, out var name, out var token);
        if (!OperatingSystem.IsWindows()) Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode($"/dev/shm/{name}"));
        Assert.False(created.IsOpened);

        await using var opened = SharedMemoryLink.Open(name, token, "rank 0", WaitExtensions.Deadline);

        Assert.True(created.IsOpened);
        Assert.False(File.Exists($"/dev/shm/{name}"));
        var failure = Assert.Throws<IOException>(() => SharedMemoryLink.Open(name, token, "rank 0", WaitExtensions.Deadline));
        Assert.Equal("it is not to be found on this host", failure.Message);
    }

    [Fact]
    public async Task Open_WithAnotherToken_FailsAndLeavesTheOfferStanding()
    {
        if (!SharedMemory.IsSupported) return;
        await using var created = SharedMemoryLink.Create("rank 1", WaitExtensions.Deadline, out var name, out var token);
        var failure = Assert.Throws<IOException>(() => SharedMemoryLink.Open(name, new byte[32], "rank 0", WaitExtensions.Deadline));
        Assert.Contains("another token", failure.Message);
        Assert.False(created.IsOpened);
        await SharedMemoryLink.Open(name, token, "rank 0", WaitExtensions.Deadline).DisposeAsync();
    }

    [Theory]
    [InlineData("")]
    [InlineData("llamacluster-")]
    [InlineData("../../etc/passwd")]
    [InlineData("llamacluster-00112233445566778899aabbccddee/f")]
    [InlineData("llamacluster-00112233445566778899AABBCCDDEEFF")]
    public void Open_OfWhatIsNoName_LooksForNoFile(string name) =>
        Assert.Equal("that is no name of shared memory", Assert.Throws<IOException>(() => SharedMemory.Open(name, 64)).Message);

    /// <summary>`flock` stands for a worker that has offered memory: it has the file open with the lock that .NET takes too.</summary>
    [Fact]
    public async Task RemoveLeftovers_TakesWhatAKilledProcessLeftAndNothingElse()
    {
        if (!SharedMemory.IsSupported) return;
        await using var offered = SharedMemoryLink.Create("rank 1", WaitExtensions.Deadline, out var name, out _);
        var path = $"/dev/shm/llamacluster-{Guid.NewGuid():n}";
        File.WriteAllBytes(path, new byte[SharedMemoryLink.Bytes]);
        string[] holds = ["-s", "-F", path, "sh", "-c", "echo held; exec tail -f /dev/null"];
        using var holder = Process.Start(new ProcessStartInfo("flock", holds) { RedirectStandardOutput = true })!;
        try
        {
            Assert.Equal("held", await holder.StandardOutput.ReadLineAsync().Soon("the lock"));
            SharedMemory.RemoveLeftovers();
            Assert.True(File.Exists(path));
        }
        finally
        {
            holder.Kill();
        }
        await holder.WaitForExitAsync().Soon();
        SharedMemory.RemoveLeftovers();   // maybe a worker that another test has started is faster
        Assert.False(File.Exists(path));
        Assert.True(File.Exists($"/dev/shm/{name}"));
    }

    /// <summary>A file is made before it is locked, and gets its size after that.</summary>
    [Fact]
    public void RemoveLeftovers_LeavesWhatIsAboutToBeCreated()
    {
        if (!SharedMemory.IsSupported) return;
        var path = $"/dev/shm/llamacluster-{Guid.NewGuid():n}";
        File.WriteAllBytes(path, []);
        SharedMemory.RemoveLeftovers();
        Assert.True(File.Exists(path));
        File.SetLastWriteTimeUtc(path, DateTime.UtcNow.AddMinutes(-2));
        SharedMemory.RemoveLeftovers();
        Assert.False(File.Exists(path));
    }

    public static TheoryData<string, Action<SharedMemory>> Damages => new()
    {
        { "it wrote -32 bytes into a ring of 524288", memory => Written(memory) = -32 },
        { "it wrote 524320 bytes into a ring of 524288", memory => Written(memory) = SharedMemoryLink.RingBytes + LinkFrame.HeaderBytes },
        { "it wrote 9223372036854775807 bytes", memory => Written(memory) = long.MaxValue },
        { "it wrote 33 bytes", memory => Written(memory) = 33 },
        { "it sent what is no message", memory => Written(memory) = 64 },
        {
            "it sent a message of 4294967295 bytes, more than 65536", memory =>
            {
                LinkFrame.Write(memory.Span(SharedMemoryLink.FirstRing + SharedMemoryLink.RingData, LinkFrame.HeaderBytes), Header, -1);
                Written(memory) = 64;
            }
        },
        {
            "its message of 100 bytes is longer than what it wrote", memory =>
            {
                LinkFrame.Write(memory.Span(SharedMemoryLink.FirstRing + SharedMemoryLink.RingData, LinkFrame.HeaderBytes), Header, 100);
                Written(memory) = 64;
            }
        },
    };

    [Theory]
    [MemberData(nameof(Damages))]
    public async Task Receive_OfADamagedRing_EndsTheLink(string expected, Action<SharedMemory> damage)
    {
        if (!SharedMemory.IsSupported) return;
        using var memory = SharedMemory.Create(SharedMemoryLink.Bytes);
        await using var link = Open(memory);
        damage(memory);
        Assert.StartsWith($"rank 0: {expected}", Assert.Throws<PeerLinkException>(() => link.Receive(out _, new byte[IPeerLink.MaxPayload])).Message);
        Assert.Throws<PeerLinkException>(() => link.Send(Header, []));
    }

    [Theory]
    [InlineData(-SharedMemoryLink.RingBytes - 32)]
    [InlineData(32)]
    [InlineData(long.MaxValue)]
    public async Task Send_IntoADamagedRing_EndsTheLink(long read)
    {
        if (!SharedMemory.IsSupported) return;
        using var memory = SharedMemory.Create(SharedMemoryLink.Bytes);
        await using var link = Open(memory);
        memory.Number<long>(SecondRing + SharedMemoryLink.Read) = read;
        Assert.StartsWith("rank 0: it read ", Assert.Throws<PeerLinkException>(() => link.Send(Header, [])).Message);
    }

    static ref long Written(SharedMemory memory) => ref memory.Number<long>(SharedMemoryLink.FirstRing + SharedMemoryLink.Written);

    /// <summary>The side that opens. The other one is the test.</summary>
    static SharedMemoryLink Open(SharedMemory memory) =>
        SharedMemoryLink.Open(memory.Name, new byte[SharedMemoryLink.TokenBytes], "rank 0", WaitExtensions.Deadline);
}
