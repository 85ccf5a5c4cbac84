/*
 * cli_pool.c
 *		Worker threads around a ring of batches.
 *
 * A batch belongs to the main thread until it is submitted and again from the
 * moment it is collected, and to one worker in between.
 */
#include <string.h>

#include "cli.h"

/* Enough for the core's largest frames, and little to reserve for many threads. */
#define STACK_SIZE (2 * 1024 * 1024)

struct cli_pool_start
{
	cli_pool   *pool;
	void	   *worker;
};

static void *
run(void *arg)
{
	struct cli_pool_start *start = arg;
	cli_pool   *pool = start->pool;

	pthread_mutex_lock(&pool->lock);
	for (;;)
	{
		int			slot;

		while (pool->taken == pool->submitted && !pool->stop)
			pthread_cond_wait(&pool->work, &pool->lock);
		if (pool->stop)
			break;
		slot = pool->taken++ % pool->slots;
		pthread_mutex_unlock(&pool->lock);
		pool->process(pool->context, start->worker, &pool->batches[slot]);
		pthread_mutex_lock(&pool->lock);
		pool->done[slot] = true;
		pthread_cond_signal(&pool->finished);
	}
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

/* Fewer threads than asked for will do, one at least. */
static void
start_threads(cli_pool *pool, int jobs, void **workers)
{
	pthread_attr_t attributes;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_SIZE);
	for (int i = 0; i < jobs; i++)
	{
		int			error;

		pool->start[i] = (struct cli_pool_start) {pool, workers[i]};
		error = pthread_create(&pool->thread[i], &attributes, run, &pool->start[i]);
		if (error != 0 && i == 0)
			cli_fail("could not start a thread: %s", strerror(error));
		if (error != 0)
			break;
		pool->threads++;
	}
	pthread_attr_destroy(&attributes);
}

void
cli_pool_start(cli_pool *pool, int jobs, cli_process process, const void *context, void **workers)
{
	memset(pool, 0, sizeof(*pool));
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->work, NULL);
	pthread_cond_init(&pool->finished, NULL);
	pool->process = process;
	pool->context = context;

	/* as many again wait, so that no worker waits for the main thread */
	pool->slots = 2 * jobs + 1;
	pool->batches = cli_alloc(pool->slots * sizeof(cli_batch));
	pool->done = cli_alloc(pool->slots * sizeof(bool));
	pool->thread = cli_alloc(jobs * sizeof(pthread_t));
	pool->start = cli_alloc(jobs * sizeof(struct cli_pool_start));
	start_threads(pool, jobs, workers);
}

cli_batch *
cli_pool_next(cli_pool *pool)
{
	cli_batch  *batch;

	if (pool->submitted - pool->collected == pool->slots)
		return NULL;
	batch = &pool->batches[pool->submitted % pool->slots];
	cli_batch_reset(batch);
	return batch;
}

void
cli_pool_submit(cli_pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	pool->done[pool->submitted % pool->slots] = false;
	pool->submitted++;
	pthread_cond_signal(&pool->work);
	pthread_mutex_unlock(&pool->lock);
}

bool
cli_pool_busy(const cli_pool *pool)
{
	return pool->collected < pool->submitted;
}

cli_batch *
cli_pool_collect(cli_pool *pool)
{
	int			slot = pool->collected % pool->slots;

	pthread_mutex_lock(&pool->lock);
	while (!pool->done[slot])
		pthread_cond_wait(&pool->finished, &pool->lock);
	pthread_mutex_unlock(&pool->lock);
	pool->collected++;
	return &pool->batches[slot];
}

void
cli_pool_stop(cli_pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	pool->stop = true;
	pthread_cond_broadcast(&pool->work);
	pthread_mutex_unlock(&pool->lock);
	for (int i = 0; i < pool->threads; i++)
		pthread_join(pool->thread[i], NULL);
	pool->threads = 0;
}
