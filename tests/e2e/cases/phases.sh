# phases [pre, post]: what may only run once the new release serves is applied by a second Job, after it.
migration 20250601000000_contract 'ALTER TABLE "Booking" DROP COLUMN IF EXISTS "old";' 'phase: post'
values '.phases = ["pre", "post"]'
release_ok 'install'
job_ends shop-lockkeeper-post Complete 10
which='.migrations // [] | join(",")'
expect 'applied before' 20250520000000_calendly_integration "$(termination_message shop-lockkeeper "$which")"
expect 'applied after' 20250601000000_contract "$(termination_message shop-lockkeeper-post "$which")"
expect 'history' 20250520000000,20250601000000 "$(applied)"
