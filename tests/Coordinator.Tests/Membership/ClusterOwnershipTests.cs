using LlamaCluster.Coordinator.Membership;
using LlamaCluster.Testing;

namespace LlamaCluster.Coordinator.Tests.Membership;

public sealed class ClusterOwnershipTests : IDisposable
{
    readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Each_start_is_a_new_epoch_of_the_same_cluster()
    {
        var owned = Enumerable.Range(0, 3).Select(_ => Start()).ToList();
        Assert.Equal([1ul, 2, 3], owned.Select(ownership => ownership.Epoch));
        Assert.Single(owned.Select(ownership => ownership.ClusterId).Distinct());
        Assert.True(owned[0].ViewsBefore < owned[1].ViewsBefore && owned[1].ViewsBefore < owned[2].ViewsBefore);
    }

    [Fact]
    public void A_folder_that_is_not_there_is_made_and_is_another_cluster()
    {
        var here = Start();
        using var there = ClusterOwnership.Take(_folder.File("a/b"));
        Assert.Equal(1ul, there.Epoch);
        Assert.NotEqual(here.ClusterId, there.ClusterId);
    }

    [Fact]
    public void Without_a_folder_each_start_is_a_cluster_of_its_own()
        => Assert.NotEqual(ClusterOwnership.Take(null).ClusterId, ClusterOwnership.Take(null).ClusterId);

    [Fact]
    public void A_second_coordinator_on_the_same_folder_is_refused()
    {
        using var first = ClusterOwnership.Take(_folder.Path);
        var refused = Assert.Throws<IOException>(() => ClusterOwnership.Take(_folder.Path));
        Assert.StartsWith($"--data-dir: another coordinator uses {_folder.Path} (", refused.Message);
        Assert.EndsWith("stop it, or give this one a folder of its own", refused.Message);
    }

    [Theory]
    [InlineData("")]
    [InlineData("{}")]
    [InlineData("[1]")]
    [InlineData("""{"cluster_id":"00000000000000000000000000000000","epoch":-1}""")]
    [InlineData("""{"cluster_id":"00000000000000000000000000000000","epoch":18446744073709551615}""")]
    [InlineData("""{"cluster_id":"UPPER","epoch":1}""")]
    [InlineData("""{"cluster_id":7,"epoch":"1"}""")]
    public void A_damaged_file_is_named_and_kept(string text)
    {
        var file = _folder.File("cluster.json");
        File.WriteAllText(file, text);
        var refused = Assert.Throws<IOException>(() => ClusterOwnership.Take(_folder.Path));
        Assert.Equal($"--data-dir: {file} is damaged; remove it to begin a new cluster", refused.Message);
        Assert.Equal(text, File.ReadAllText(file));
    }

    [Fact]
    public void A_folder_that_is_a_file_is_refused_by_name()
    {
        File.WriteAllText(_folder.File("file"), "");
        Assert.Contains(_folder.File("file"), Assert.ThrowsAny<IOException>(() => ClusterOwnership.Take(_folder.File("file"))).Message);
    }

    ClusterOwnership Start()
    {
        using var ownership = ClusterOwnership.Take(_folder.Path);
        return ownership;
    }
}
