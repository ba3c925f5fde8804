using Grpc.Core;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Testing;

namespace LlamaCluster.Worker.Tests;

public sealed class ClusterOwnerTests
{
    static readonly WorkerId Id = new("w1");

    readonly ClusterOwner _owner = new(new ManualTimeProvider());

    [Fact]
    public void Each_registration_has_a_key_of_its_own()
    {
        var (first, second) = (_owner.Begin(), _owner.Begin());
        Assert.False(second.Matches(first.ToHeaders().GetValue(PeerKey.Header)));
        Assert.True(_owner.Key!.Matches(second.ToHeaders().GetValue(PeerKey.Header)));
    }

    [Fact]
    public void An_older_coordinator_of_the_same_cluster_is_left_alone()
    {
        Assert.True(_owner.Complete(Id, "a", 3));
        Assert.False(_owner.Complete(Id, "a", 4));
        var refused = Assert.Throws<RpcException>(() => _owner.Complete(Id, "a", 3));
        Assert.Equal((StatusCode.Aborted, "its epoch 3 of cluster a is over: this worker has met epoch 4"), (refused.StatusCode, refused.Status.Detail));
        Assert.Equal(4ul, _owner.Epoch);
    }

    [Fact]
    public void Another_cluster_is_joined_as_a_newcomer()
    {
        _owner.Complete(Id, "a", 7);
        Assert.True(_owner.Complete(Id, "b", 1));
        Assert.Equal(1ul, _owner.Epoch);
    }

    [Fact]
    public void Signs_of_life_are_of_one_coordinator()
    {
        _owner.Complete(Id, "a", 1);
        var first = _owner.Signs;
        _owner.Begin();
        _owner.Complete(Id, "a", 1);
        Assert.Same(first, _owner.Signs);
        _owner.Complete(Id, "a", 2);
        var later = _owner.Signs;
        Assert.NotSame(first, later);
        _owner.Complete(Id, "b", 2);
        Assert.NotSame(later, _owner.Signs);
    }

    [Fact]
    public void Calls_to_the_coordinator_say_who_calls()
    {
        Assert.Empty(_owner.Headers);
        _owner.Begin();
        _owner.Complete(Id, "a", 1);
        Assert.Equal("w1", _owner.Headers.GetValue(PeerKey.WorkerHeader));
        Assert.True(_owner.Key!.Matches(_owner.Headers.GetValue(PeerKey.Header)));
    }
}
