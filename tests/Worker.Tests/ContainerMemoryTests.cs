using LlamaCluster.Testing;

namespace LlamaCluster.Worker.Tests;

/// <summary>Control groups as containers show them, in folders that stand for a system's root.</summary>
public sealed class ContainerMemoryTests : IDisposable
{
    const long Gibibyte = 1L << 30;
    const string V2 = "31 23 0:28 / /sys/fs/cgroup rw,relatime - cgroup2 cgroup rw,nsdelegate";

    readonly TempFolder _root = new();

    public void Dispose() => _root.Dispose();

    [Fact]
    public void A_container_of_v2_has_its_limit_at_the_mount_point()
    {
        Write("proc/self/cgroup", "0::/");
        Write("proc/self/mountinfo", V2);
        Write("sys/fs/cgroup/memory.max", "2147483648");
        Write("sys/fs/cgroup/memory.stat", "anon 1000", "file 5000", "shmem 24", "inactive_file 4000");

        Assert.Equal(new ContainerMemory(2 * Gibibyte, 1024), ContainerMemory.Read(_root.Path));
    }

    [Fact]
    public void The_least_limit_of_a_group_and_those_above_it_counts()
    {
        Write("proc/self/cgroup", "0::/kubepods/pod1/container");
        Write("proc/self/mountinfo", V2);
        Write("sys/fs/cgroup/kubepods/memory.max", "8589934592");
        Write("sys/fs/cgroup/kubepods/pod1/memory.max", "1073741824");
        Write("sys/fs/cgroup/kubepods/pod1/memory.stat", "anon 77");
        Write("sys/fs/cgroup/kubepods/pod1/container/memory.max", "max");

        Assert.Equal(new ContainerMemory(Gibibyte, 77), ContainerMemory.Read(_root.Path));
    }

    [Fact]
    public void A_container_of_v1_sees_its_own_group_at_the_mount_point()
    {
        Write("proc/self/cgroup", "9:name=systemd:/kubepods/pod1/c1", "4:cpu,memory:/kubepods/pod1/c1", "0::/");
        Write(
            "proc/self/mountinfo",
            "35 31 0:32 /kubepods/pod1/c1 /sys/fs/cgroup/memory ro,nosuid - cgroup cgroup rw,memory",
            "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw");
        Write("sys/fs/cgroup/memory/memory.limit_in_bytes", "2147483648");
        Write("sys/fs/cgroup/memory/memory.stat", "rss 1", "total_rss 600", "total_shmem 40", "total_cache 9000");

        Assert.Equal(new ContainerMemory(2 * Gibibyte, 640), ContainerMemory.Read(_root.Path));
    }

    [Theory]
    [InlineData("max")]
    [InlineData("9223372036854771712")]
    [InlineData("")]
    public void No_limit_is_none(string limit)
    {
        Write("proc/self/cgroup", "4:memory:/", "0::/");
        Write("proc/self/mountinfo", V2, "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory");
        Write("sys/fs/cgroup/memory.max", limit);
        Write("sys/fs/cgroup/memory/memory.limit_in_bytes", limit);

        Assert.Null(ContainerMemory.Read(_root.Path));
    }

    [Fact]
    public void A_group_that_lies_outside_of_the_mount_is_read_at_the_mount_point()
    {
        Write("proc/self/cgroup", "0::/../other");
        Write("proc/self/mountinfo", V2);
        Write("sys/fs/cgroup/memory.max", "1073741824");

        Assert.Equal(Gibibyte, ContainerMemory.Read(_root.Path)?.Limit);
    }

    [Fact]
    public void Without_control_groups_there_is_no_limit()
    {
        Assert.Null(ContainerMemory.Read(_root.Path));
        Write("proc/self/cgroup", "nonsense");
        Write("proc/self/mountinfo", "", "1 2 3", "a b c d e f - cgroup2 x y", "31 23 0:28 / /gone rw - cgroup2 cgroup rw");
        Assert.Null(ContainerMemory.Read(_root.Path));
    }

    void Write(string file, params string[] lines)
    {
        var path = _root.File(file);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllLines(path, lines);
    }
}
