using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Coordinator.Scheduling;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Text;

namespace LlamaCluster.Coordinator.Pipelines;

/// <summary>
/// All stages of one view, ready to run steps. A pipeline works until its first failure and never again: then every step that is under way
/// or still to come returns <see cref="StepReturn.Lost"/>, and going on takes another view.
/// </summary>
public interface IPipeline : IAsyncDisposable
{
    ulong ViewVersion { get; }

    /// <summary>S: how many steps keep all stages busy.</summary>
    int StageCount { get; }

    /// <summary>KV blocks that every worker has.</summary>
    int KvBlocks { get; }

    /// <summary>Completes at the first failure.</summary>
    Task<PipelineFailure> Lost { get; }

    /// <summary>Where the workers keep KV blocks beyond memory. Null: not all of them do.</summary>
    IWorkerDisks? Disks => null;

    /// <summary>What the workers of each stage still have of earlier views' KV. Empty: nothing is known of it.</summary>
    IReadOnlyList<StageKeeps> Kept => [];

    /// <summary>
    /// Sends a step off, with the ends and moves that come before it. The workers run steps in the order in which they were sent. The task never faults and
    /// always completes, at the latest when the deadline for a step is over. The tasks of several steps may complete in any order; the caller sorts them.
    /// </summary>
    Task<StepReturn> ExecuteAsync(ScheduledStep step);

    /// <summary>Tells the workers to forget sequences, after the steps sent so far.</summary>
    void End(IReadOnlyList<ulong> sequences);

    /// <summary>Fails the pipeline for a reason that it cannot see itself.</summary>
    void Abort(PipelineFailure failure);

    /// <summary>
    /// Of a pipeline that has failed: the first step that a worker had left to do, which may be what it was doing.
    /// Null: it had done all, or nothing is known of it.
    /// </summary>
    ScheduledStep? NotDoneBy(WorkerId? worker) => null;
}

/// <summary>The disks of a pipeline's workers, all of them.</summary>
public interface IWorkerDisks
{
    /// <summary>How many there are.</summary>
    int Count { get; }

    /// <summary>Spills that every worker has buffers for.</summary>
    int SpillsAtOnce { get; }

    /// <summary>How long a worker that is to read blocks may say nothing of them. It ends a read that storage does not answer itself, and sooner.</summary>
    TimeSpan Patience { get; }

    /// <summary>A worker, for people.</summary>
    /// <param name="worker">From 0, in the order of the plan.</param>
    string NameOf(int worker);

    /// <summary>Has all workers move blocks, after the steps sent so far and before later ones. What a step brings along is moved with it.</summary>
    void Move(BlockMoves moves);

    /// <summary>Tells what is on the disks, and then what changes there. To be called once. Reports of one worker come in order.</summary>
    void Follow(Action<DiskReport> report);
}

/// <summary>How a step came back.</summary>
public abstract record StepReturn
{
    StepReturn() { }

    /// <param name="Results">One per chunk of the step, in order.</param>
    public sealed record Completed(IReadOnlyList<ChunkResult> Results) : StepReturn;

    /// <summary>The step did not come back; the pipeline has failed.</summary>
    public sealed record Lost(PipelineFailure Failure) : StepReturn;
}

/// <summary>Why a view is over.</summary>
/// <param name="Worker">The worker at fault, where that is known.</param>
/// <param name="WorkerLost">That worker does not answer any more, as opposed to having answered that something failed.</param>
/// <param name="Message">One line for people: which worker (name and address) and what happened to it.</param>
public sealed record PipelineFailure(WorkerId? Worker, bool WorkerLost, string Message)
{
    /// <summary>The supervisor ended the view for another one; nothing broke.</summary>
    public bool IsPlanned { get; init; }

    /// <summary>Two workers lost sight of each other, and neither of them turned out to be gone.</summary>
    public bool IsConnectionOnly { get; init; }

    /// <summary>A worker answered that it could not carry a step out.</summary>
    public bool IsStepError { get; init; }
}

/// <summary>Whether the workers of a view took up their streams of steps.</summary>
public abstract record PipelineOpening
{
    PipelineOpening() { }

    /// <param name="Pipeline">Whoever opened it disposes of it.</param>
    public sealed record Opened(IPipeline Pipeline) : PipelineOpening;

    public sealed record Failed(PipelineFailure Failure) : PipelineOpening;
}

/// <summary>What a pipeline is made of.</summary>
/// <param name="Replica">The name of the replica that it belongs to, for measurements.</param>
/// <param name="Workers">In stage order, then rank order, as in the plan.</param>
/// <param name="VocabularySize">V: sampled ids are below it.</param>
public sealed record PipelineOptions(
    string Replica, ClusterPlan Plan, IReadOnlyList<StageWorker> Workers, int KvBlocks, int VocabularySize, ClusterDeadlines Deadlines)
{
    /// <summary>The model's tokens, of which the last stage is told once there is a grammar. Null: there are no grammars.</summary>
    public ITokenizer? Tokenizer { get; init; }

    /// <summary>The tokens of an adapter with a vocabulary of its own, by its digest; null: it has the model's.</summary>
    public Func<string, ITokenizer?> AdapterTokenizer { get; init; } = _ => null;

    /// <summary>What the workers of each stage still have of earlier views' KV.</summary>
    public IReadOnlyList<StageKeeps> Kept { get; init; } = [];
}

/// <summary>A worker with the part it has in a view.</summary>
/// <param name="Name">For people.</param>
/// <param name="Key">Of its registration; the coordinator shows it in its calls.</param>
public sealed record StageWorker(ShardAssignment Assignment, string Name, PeerKey Key)
{
    public WorkerId Id => Assignment.Worker;

    /// <summary>Called whenever the worker has sent something.</summary>
    public Action Heard { get; init; } = static () => { };

    public int Stage => Assignment.Stage;

    public int Rank => Assignment.Shard.Slice.Rank;

    public PipelineFailure Lost(string how) => new(Id, WorkerLost: true, $"{this} was lost: {how}");

    public PipelineFailure Failed(string how) => new(Id, WorkerLost: false, $"{this} failed: {how}");

    /// <summary>"worker NAME (ADDRESS)"</summary>
    public override string ToString() => $"worker {Name} ({PeerAddress.Format(Assignment.Address)})";
}
