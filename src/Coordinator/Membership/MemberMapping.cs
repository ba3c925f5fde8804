using LlamaCluster.Cluster.Mapping;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Planning.Profiles;
using LlamaCluster.Protos;

namespace LlamaCluster.Coordinator.Membership;

/// <summary>Between members and their messages. Every field that a worker sends is checked here.</summary>
static class MemberMapping
{
    const int MaxNameLength = 128;
    const int MaxWordLength = 64;
    const int MaxTypes = 64;
    const int MaxThreads = 1 << 16;
    const long MaxMemory = 1L << 56;

    const int MaxInstanceBytes = 64;

    /// <returns>The member, once it has an id.</returns>
    /// <exception cref="InvalidMessageException">A field has a value that is not allowed.</exception>
    public static Func<WorkerId, Member> Read(RegisterRequest request)
    {
        var address = Field.Address("address", request.Address);
        if (address.Host is "0.0.0.0" or "[::]" or "*" or "+")
            throw new InvalidMessageException("address is a wildcard; it must be where others reach this worker");
        var name = Field.Text("name", request.Name, MaxNameLength);
        var capabilities = Read(request.Capabilities ?? new Capabilities(), request.Profile ?? new Profile());
        request.HeldShard?.ToShard();
        var key = PeerKey.Read("key", request.Key);
        Field.Count("instance_id", request.InstanceId.Length, 0, MaxInstanceBytes);
        return id => new Member(id, name.Length == 0 ? id.Value : name, address)
        {
            Capabilities = capabilities,
            Key = key,
            InstanceId = Convert.ToHexStringLower(request.InstanceId.Span),
        };
    }

    public static WorkerState ReadState(WorkerState state)
        => Enum.IsDefined(state) && state is not (WorkerState.Unspecified or WorkerState.Lost or WorkerState.Suspected)
            ? state
            : throw new InvalidMessageException($"state is {(int)state}, not IDLE, LOADING, READY or DRAINING");

    public static ListWorkersReply ToMessage(this MembershipSnapshot snapshot) => new()
    {
        ViewVersion = snapshot.ViewVersion,
        Workers = { snapshot.Members.Select(member => ToMessage(member, snapshot.Plan?.Find(member.Id))) },
    };

    static WorkerCapabilities Read(Capabilities capabilities, Profile profile) => new(
        ReadMachine(capabilities, profile),
        Field.Text("capabilities.software_version", capabilities.SoftwareVersion, MaxWordLength),
        Field.Text("capabilities.instruction_set", capabilities.InstructionSet, MaxWordLength),
        [.. Few("capabilities.tensor_types", capabilities.TensorTypes).Select(type => Field.Text("capabilities.tensor_types", type, MaxWordLength))],
        [.. Few("capabilities.activation_types", capabilities.ActivationTypes)]);

    static MachineFacts ReadMachine(Capabilities capabilities, Profile profile) => new(
        Field.Bytes("capabilities.memory_bytes", capabilities.MemoryBytes, MaxMemory),
        Field.Count("capabilities.threads", capabilities.Threads, 0, MaxThreads),
        Rate("profile.memory_read_bytes_per_second", profile.MemoryReadBytesPerSecond),
        Rate("profile.multiply_adds_per_second", profile.MultiplyAddsPerSecond))
    {
        Paces = Few("profile.paces", profile.Paces)
            .GroupBy(pace => Field.Text("profile.paces.tensor_type", pace.TensorType, MaxWordLength))
            .ToDictionary(same => same.Key, same => PaceOf(same.Last())),
        HostId = Field.Text("profile.host_id", profile.HostId, MaxNameLength),
        HostProcessors = Field.Count("profile.host_processors", profile.HostProcessors, 0, MaxThreads),
        HostReadBytesPerSecond = Rate("profile.host_memory_read_bytes_per_second", profile.HostMemoryReadBytesPerSecond),
        HostMultiplyAddsPerSecond = Rate("profile.host_multiply_adds_per_second", profile.HostMultiplyAddsPerSecond),
    };

    static LlamaCluster.Planning.Profiles.ProductPace PaceOf(Protos.ProductPace pace) => new(
        PositiveRate("profile.paces.one_row_per_second", pace.OneRowPerSecond), PositiveRate("profile.paces.many_rows_per_second", pace.ManyRowsPerSecond));

    static double PositiveRate(string name, double value) => Rate(name, value) > 0 ? value : throw new InvalidMessageException($"{name} is 0");

    static IList<T> Few<T>(string name, IList<T> values)
    {
        Field.Count(name, values.Count, 0, MaxTypes);
        return values;
    }

    static double Rate(string name, double value)
        => double.IsFinite(value) && value >= 0 ? value : throw new InvalidMessageException($"{name} is {value}, not a number from 0");

    static WorkerStatus ToMessage(Member member, ShardAssignment? assignment)
    {
        var (capabilities, machine) = (member.Capabilities, member.Capabilities.Machine);
        return new WorkerStatus
        {
            WorkerId = member.Id.Value,
            Name = member.Name,
            Address = PeerAddress.Format(member.Address),
            State = StateOf(member),
            Capabilities = new Capabilities
            {
                MemoryBytes = (ulong)machine.MemoryBytes,
                Threads = (uint)machine.Threads,
                SoftwareVersion = capabilities.SoftwareVersion,
                InstructionSet = capabilities.InstructionSet,
                TensorTypes = { capabilities.TensorTypes },
                ActivationTypes = { capabilities.ActivationTypes },
            },
            Profile = new Profile
            {
                MemoryReadBytesPerSecond = machine.MemoryReadBytesPerSecond,
                MultiplyAddsPerSecond = machine.MultiplyAddsPerSecond,
                HostId = machine.HostId,
                HostProcessors = (uint)machine.HostProcessors,
                HostMemoryReadBytesPerSecond = machine.HostReadBytesPerSecond,
                HostMultiplyAddsPerSecond = machine.HostMultiplyAddsPerSecond,
                Paces =
                {
                    machine.Paces.OrderBy(pace => pace.Key, StringComparer.Ordinal).Select(pace => new Protos.ProductPace
                    {
                        TensorType = pace.Key, OneRowPerSecond = pace.Value.OneRow, ManyRowsPerSecond = pace.Value.ManyRows,
                    }),
                },
            },
            Stage = (uint)(assignment?.Stage ?? 0),
            Shard = assignment?.Shard.ToMessage(),
        };
    }

    static WorkerState StateOf(Member member) => member.State switch
    {
        MemberState.Lost => WorkerState.Lost,
        MemberState.Draining => WorkerState.Draining,
        _ when member.IsSuspected => WorkerState.Suspected,
        _ => member.Reported,
    };
}
