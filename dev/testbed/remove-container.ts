import { getContainerRuntimeClient } from 'testcontainers';

// What the lifeline of a container runs: `node remove-container.ts <id>`.
const [, , id = ''] = process.argv;
const client = await getContainerRuntimeClient();
await client.container.getById(id).remove({ force: true, v: true });
